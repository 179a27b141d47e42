"""Values of settings: texts of files and variables turned into what each setting takes."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from typing import Any, Literal

from lineal.errors import Invalid

Mode = Literal["online", "shared", "offline", "disabled"]
MODE_SPELLINGS: Mapping[str, Mode] = {
    "online": "online",
    "run": "online",
    "shared": "shared",
    "offline": "offline",
    "dryrun": "offline",
    "disabled": "disabled",
}
"""RUN-36: `dryrun` and `run` are old spellings."""
_TRUE, _FALSE = {"1", "true", "yes", "on"}, {"0", "false", "no", "off", ""}
_WRAPPED = ("wrap", "auto", "redirect", "wrap_raw", "wrap_emu")
"""W&B's ways to keep console output; here they are all the same."""


def parse(setting: dataclasses.Field[Any], value: Any) -> Any:
    """Turn what was said of a setting into a value of its type; raises Invalid.

    setting: as `config.setting` declares it.
    """
    name, wanted, is_path = setting.name, str(setting.type), setting.metadata["is_path"]
    try:
        if wanted == "bool":
            return value if isinstance(value, bool) else _parse_bool(str(value))
        if wanted == "float":
            return _within(setting, float(value))
        if wanted == "int":
            return _within(setting, int(value))
        if wanted.startswith("tuple"):
            parts = value.split(",") if isinstance(value, str) else list(value)
            texts = [_text(part).strip() for part in parts if _text(part).strip()]
            return tuple(map(_parse_path, texts) if is_path else texts)
        if is_path:
            return _parse_path(value)
    except (TypeError, ValueError, OverflowError) as error:
        raise Invalid(f"Setting `{name}` cannot be {value!r}: {error}") from error
    if name == "mode":
        return _parse_mode(value)
    if name == "resume":
        return _parse_resume(value)
    if name == "reinit":
        return _parse_reinit(value)
    if name == "console":
        return _parse_console(value)
    return _text(value)


def _text(value: object) -> str:
    """Return a value as text; of a member of an enum of texts the text, not the member's name."""
    return str.__str__(value) if isinstance(value, str) else str(value)


def _within(setting: dataclasses.Field[Any], number: float) -> float:
    least, most = setting.metadata["within"]
    if not least <= number <= most:  # NaN, too
        raise ValueError(f"expected a number from {least} to {most:,}")
    return number


def _parse_path(value: Any) -> str:
    path = _text(os.fsdecode(value))
    if "\0" in path:
        raise ValueError("no path has a NUL")
    try:
        os.fsencode(path)
    except UnicodeEncodeError as error:
        raise ValueError("it is not valid Unicode") from error
    return os.path.expanduser(path)


def _parse_bool(text: str) -> bool:
    if text.lower() in _TRUE:
        return True
    if text.lower() in _FALSE:
        return False
    raise ValueError("expected true or false")


def _parse_mode(value: Any) -> Mode:
    mode = MODE_SPELLINGS.get(_text(value).lower())
    if mode is None:
        raise Invalid(
            f"Unknown mode `{_text(value)}`; use `online`, `offline`, `disabled` or `shared`"
        )
    return mode


def _parse_resume(value: Any) -> str | None:
    text = _text(value).lower()
    if text in _FALSE:
        return None
    text = "auto" if text in _TRUE else text
    if text not in ("allow", "must", "never", "auto"):
        raise Invalid(f"Setting `resume` cannot be {value!r}; use allow, must, never or auto")
    return text


def _parse_reinit(value: Any) -> str:
    """RUN-6: booleans are deprecated spellings."""
    text = {"true": "finish_previous", "false": "return_previous"}.get(
        _text(value).lower(), _text(value)
    )
    if text not in ("default", "return_previous", "finish_previous", "create_new"):
        raise Invalid(
            f"Setting `reinit` cannot be {value!r}; use default, return_previous, finish_previous "
            "or create_new"
        )
    return text


def _parse_console(value: Any) -> str:
    text = _text(value).lower()
    if text == "off" or text in _FALSE:
        return "off"
    if text not in _TRUE and text not in _WRAPPED:
        raise Invalid(f"Setting `console` cannot be {value!r}; use `wrap` or `off`")
    return "wrap"
