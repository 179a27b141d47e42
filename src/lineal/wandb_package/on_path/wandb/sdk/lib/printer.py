"""What lm-eval and lmms-eval say things with."""

import logging

import lineal

__all__ = ["Printer", "new_printer"]


class Printer:
    """Says lines of text as Lineal's own are said."""

    def display(self, text: str | list[str] | tuple[str, ...], *, level: int | None = None) -> None:
        """Say lines; level: as of `logging`."""
        importance = logging.INFO if level is None else level
        if importance >= logging.ERROR:
            say = lineal.termerror
        else:
            say = lineal.termwarn if importance >= logging.WARNING else lineal.termlog
        for line in [text] if isinstance(text, str) else text:
            say(line)


def new_printer() -> Printer:
    return Printer()
