"""How wide text is in a picture, about: whoever draws it does not know the font it is shown in."""

from __future__ import annotations

import unicodedata

_EAST_ASIAN, _WIDEST, _CAPITAL = 1.9, 1.7, 1.25
"""Widths in those of an ordinary small letter, from Noto Sans and DejaVu Sans."""


def letters_of(text: str) -> float:
    """Return how many ordinary small letters take the room of one line of text."""
    return sum(map(_width, text))


def cut(text: str, most: float) -> str:
    """Return a line that takes the room of so many ordinary letters at most, its end cut off."""
    if letters_of(text) <= most:
        return text
    return f"{text[: _fitting(text, most - 1)]}…"


def cut_front(text: str, most: float) -> str:
    """Return the same with its front cut off: where names differ at their ends."""
    if letters_of(text) <= most:
        return text
    return f"…{text[len(text) - _fitting(text[::-1], most - 1) :]}"


def _fitting(text: str, most: float) -> int:
    """Return how many characters from the front fit."""
    taken = 0.0
    for count, letter in enumerate(text):
        taken += _width(letter)
        if taken > most:
            return count
    return len(text)


def _width(letter: str) -> float:
    if "a" <= letter <= "z":
        return _WIDEST if letter in "mw" else 1
    if unicodedata.category(letter) in ("Mn", "Me"):  # stands on the letter before
        return 0
    if unicodedata.east_asian_width(letter) in ("W", "F"):
        return _EAST_ASIAN
    if letter in "MW@%":
        return _WIDEST
    return _CAPITAL if letter.isupper() else 1
