"""What errors of other people's libraries mean to the user, in a line (see `Scheme`)."""

from __future__ import annotations

import re
import socket
import ssl
from collections.abc import Iterator

TEXT_MOST = 300
"""Characters of what a library says itself."""
_OBJECT = re.compile(r"<[\w.]+ object at 0x[0-9a-f]+>:? ?")
_NO_HOST = "its host is not known here; look at the name, and whether this machine has a network"
_NO_ANSWER = "nothing answers there; look at the address, and whether the store is up"


def reason(error: BaseException) -> str:
    """Return why a store cannot be read; of what others wrapped in it the network's word counts."""
    for each in _causes(error):
        if isinstance(each, socket.gaierror):
            return _NO_HOST
        if isinstance(each, ConnectionRefusedError):
            return _NO_ANSWER
        if isinstance(each, ssl.SSLError):
            return f"its certificate is not accepted here ({said(each)})"
        if isinstance(each, TimeoutError):
            return "it does not answer in time; try again later"
    text = said(error)
    if "NameResolutionError" in text or "Name or service not known" in text:
        return _NO_HOST
    return _NO_ANSWER if "Connection refused" in text else text


def said(error: BaseException) -> str:
    """Return the first line of what an error says, or its kind if it says nothing."""
    first = _OBJECT.sub("", str(error).strip()).partition("\n")[0]
    return first[:TEXT_MOST] or type(error).__name__


def status(error: BaseException) -> int | None:
    """Return the HTTP status in an error of whatever library; 530 is FTP's for a wrong login."""
    for name in ("status", "status_code", "code"):
        found = getattr(error, name, None)
        if isinstance(found, int | str) and str(found).isdecimal():
            return int(found)
    begin = re.match(r"(\d{3}) ", str(error))  # ftplib
    return int(begin.group(1)) if begin else None


def _causes(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    waiting: list[object] = [error]
    while waiting:
        each = waiting.pop(0)
        if not isinstance(each, BaseException) or id(each) in seen:
            continue
        seen.add(id(each))
        yield each
        waiting += [each.__cause__, each.__context__, getattr(each, "reason", None), *each.args]
