"""Names that are not known bring those that may have been meant."""

from __future__ import annotations

from lineal.nearest import did_you_mean, nearest

KNOWN = ("minimize", "maximize", "median")


def test_the_likest_names_come_first() -> None:
    assert nearest("maximise", KNOWN) == ["maximize"]
    assert nearest("maximise", KNOWN, count=3) == ["maximize", "minimize"]
    assert nearest("loss", KNOWN) == []


def test_a_shorter_word_is_near_where_less_will_do() -> None:
    assert nearest("max", KNOWN) == []
    assert nearest("max", KNOWN, cutoff=0.5) == ["maximize"]


def test_a_message_ends_in_the_nearest_name_or_in_what_there_is() -> None:
    assert did_you_mean("maximise", KNOWN) == "; did you mean `maximize`?"
    assert did_you_mean("loss", KNOWN) == ""
    assert did_you_mean("loss", KNOWN, otherwise="; known are …") == "; known are …"
