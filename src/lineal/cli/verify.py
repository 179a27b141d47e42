"""`lineal verify`: every invariant and every byte of the instance (docs/design/001-storage.md)."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Annotated, Protocol, runtime_checkable

import typer

from lineal.cli import output
from lineal.cli.connect import connect
from lineal.cli.options import Json
from lineal.client import term
from lineal.config import load
from lineal.core.findings import ALL, NONE, STORED_BYTES, UNREADABLE, Finding, Portion
from lineal.errors import IntegrityError, NotFound, UsageError
from lineal.home import home_of

SHOWN_MOST = 5
"""Lost files of one pack that are printed; it may have had 20,000."""


@runtime_checkable
class Verifiable(Protocol):
    """A backend whose bytes are on this machine; naming its class would load SQLAlchemy."""

    def verify(
        self,
        progress: Callable[[int, int], None] | None = None,
        *,
        repair: bool = False,
        portion: Portion = ALL,
    ) -> Iterator[Finding]: ...

    def damage(self) -> list[Finding]: ...


def verify(
    repair: Annotated[
        bool,
        typer.Option(
            help="Note lost and damaged bytes as not stored; logging the same again stores them"
        ),
    ] = False,
    part: Annotated[
        str | None,
        typer.Option(
            metavar="N/COUNT", help="Read only so much of the stored bytes; `1/7` … `7/7` are all"
        ),
    ] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="Read none; look whether they are there, by their sizes")
    ] = False,
    json: Json = False,
) -> None:
    """Check every record and every stored byte of the instance.

    Says what is wrong and where; writes nothing unless it is to repair. Exit code 7 if anything
    is wrong. Where reading everything takes too long, `--part` spreads it over some nights.
    """
    portion = _portion(part, quick=quick)
    _require_home()
    backend = connect().backend
    if not isinstance(backend, Verifiable):
        raise UsageError("`lineal verify` checks an instance on this machine")
    status = backend.status()
    findings = []
    told = _Told()
    with term.progress(
        "Checking",
        files=status.counts.get("blobs"),
        size=status.blob_bytes if portion == ALL else None,
    ) as progress:
        for finding in backend.verify(
            lambda blobs, size_bytes: progress.advance(files=blobs, size=size_bytes),
            repair=repair,
            portion=portion,
        ):
            findings.append(finding)
            if not json:
                told.tell(finding)
    if not json:
        told.end()
    if json:
        output.as_json_list(
            {
                "invariant": each.invariant,
                "where": each.where,
                "what": each.what,
                "files": list(each.files),
            }
            for each in findings
        )
    if findings:
        count = output.plural(len(findings), "problem")
        raise IntegrityError(f"{count} found{_what_next(findings, repair=repair)}")
    output.note(
        f"{output.plural(status.counts.get('blobs', 0), 'blob')}, "
        f"{output.size(status.blob_bytes)}: everything is as it should be{_but(portion)}"
    )


def _portion(part: str | None, *, quick: bool) -> Portion:
    if part is None:
        return NONE if quick else ALL
    if quick:
        raise UsageError("`--quick` reads no stored bytes, and `--part` some; give one of them")
    named = re.fullmatch(r"(\d{1,9})/(\d{1,9})", part)
    if named and 1 <= int(named[1]) <= int(named[2]):
        return Portion(int(named[1]), int(named[2]))
    raise UsageError(f"`--part {part}` is no part; the second of seven is `--part 2/7`")


def _but(portion: Portion) -> str:
    """Say what was not read."""
    if portion == ALL:
        return ""
    if portion == NONE:
        return ", as far as sizes tell; no stored bytes were read"
    return f", with the bytes of part {portion.number} of {portion.of}"


def _require_home() -> None:
    """Refuse to call nothing sound: the copy that was to be checked may be in another folder."""
    home = home_of(load())
    if not os.path.lexists(home.database) and not os.path.lexists(home.blobs):
        raise NotFound(
            f"Nothing was ever logged in {home.root}, so there is nothing to verify. "
            "LINEAL_HOME names the folder that has lineal.db and blobs"
        )


def _what_next(findings: list[Finding], *, repair: bool) -> str:
    """Say what to do where bytes are lost; nobody but a backup has the rest."""
    of_bytes = [finding for finding in findings if finding.invariant == STORED_BYTES]
    if of_bytes and all(finding.what.startswith(UNREADABLE) for finding in of_bytes):
        return "; what cannot be read now may well be there: let it be read, and verify again"
    if repair or not of_bytes:
        return ""
    return (
        "; put lost bytes back from a backup, or let `lineal verify --repair` note them, so that "
        "logging the same again stores them"
    )


class _Told:
    """Prints findings; of many files that are lost together, as those of a pack, the first ones."""

    def __init__(self) -> None:
        self._counts: Counter[tuple[str, str]] = Counter()

    def tell(self, finding: Finding) -> None:
        together = finding.batch, finding.what
        if finding.batch:
            self._counts[together] += 1
        if self._counts[together] <= SHOWN_MOST:
            output.erase_progress()
            output.data(
                f"{output.cell(finding.where)}{_whose(finding)}: {output.cell(finding.what)} "
                f"(not so: {output.cell(finding.invariant)})"
            )

    def end(self) -> None:
        """Say how many of which were left out."""
        for (_, what), count in self._counts.items():
            if count > SHOWN_MOST:
                told = f"… and {count - SHOWN_MOST:,} more that were stored with the last of them"
                output.data(output.cell(f"{told}: {what}; `--json` lists them"))


def _whose(finding: Finding) -> str:
    if finding.invariant != STORED_BYTES:
        return ""
    return f" ({output.cell(', '.join(finding.files) or 'in no live version')})"
