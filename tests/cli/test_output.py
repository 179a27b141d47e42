from __future__ import annotations

import json
import math
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType

import pytest

from lineal.cli import output


def test_table_is_aligned_and_has_no_trailing_blanks(capsys):
    output.table(("name", "size"), [("a", "10"), ("longer", "9")], right=("size",))
    assert capsys.readouterr().out == "name    size\na         10\nlonger     9\n"


def test_table_is_aligned_where_letters_are_wide_or_stand_on_others(capsys):
    output.table(("name", "n"), [("日本語", 1), ("cafe\u0301", 2), ("abcdef", 3)])
    assert capsys.readouterr().out == "name    n\n日本語  1\ncafe\u0301    2\nabcdef  3\n"


def test_headers_are_aligned_and_harmless_whatever_they_are(capsys):
    output.table(("損失", "a\nb"), [(1, 2)], right=("a\nb",))
    assert capsys.readouterr().out == "損失  a\\nb\n1        2\n"


def test_fields_are_aligned_and_harmless_whatever_their_names(capsys):
    output.fields([("損失", 1), ("a\x1b[31m", 2), ("none", None)])
    assert capsys.readouterr().out == "損失       1\na\\x1b[31m  2\n"


def test_table_streams_more_rows_than_it_measures(capsys):
    count = output.MEASURED_ROWS + 5
    output.table(("n",), ((number,) for number in range(count)))
    assert len(capsys.readouterr().out.splitlines()) == count + 1


def test_table_without_rows_prints_its_headers(capsys):
    output.table(("name", "size"), [])
    assert capsys.readouterr().out == "name  size\n"


def test_json_is_valid_whatever_the_numbers(capsys):
    output.as_json({"a": math.nan, "b": [math.inf, -math.inf], "c": {"d": 1.5}})
    printed = json.loads(capsys.readouterr().out, parse_constant=pytest.fail)
    assert printed == {"a": "NaN", "b": ["Infinity", "-Infinity"], "c": {"d": 1.5}}


@pytest.mark.parametrize("number", [1.5, math.nan])
def test_json_has_moments_mappings_and_what_it_has_no_form_for(capsys, number):
    moment = datetime(2026, 1, 31, tzinfo=UTC)
    output.as_json({"at": moment, "of": MappingProxyType({"a": (1,)}), "x": Path("b"), "n": number})
    printed = json.loads(capsys.readouterr().out)
    shown = {"at": "2026-01-31T00:00:00+00:00", "of": {"a": [1]}, "x": "b"}
    assert printed == shown | {"n": number if number == number else "NaN"}


@pytest.mark.parametrize("items", [[], [{"a": 1}], [{"a": 1}, {"a": 2}]])
def test_json_lists_are_valid_at_any_length(capsys, items):
    output.as_json_list(iter(items))
    assert json.loads(capsys.readouterr().out) == items


@pytest.mark.parametrize("items", [[], [{"a": "x\ny"}], [{"a": []}, {"é": {"b": [1, 2]}}, 3]])
def test_the_last_array_of_an_object_is_printed_as_it_comes(capsys, items):
    begun = {"name": "a", "none": [], "some": {"x": [1.5]}}
    output.as_json({**begun, "items": items})
    expected = capsys.readouterr().out
    printed: list[str] = []

    def kept():
        for item in items:
            printed.append(capsys.readouterr().out)
            yield item

    output.as_json_ending(begun, "items", kept())
    assert "".join(printed) + capsys.readouterr().out == expected
    assert all(printed)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, ""),
        (0.123456789, "0.12346"),
        (("a", "b"), "a, b"),
        ({"a": [1]}, '{"a": [1]}'),
        ("tab\there", "tab\\there"),
        ("esc\x1b[31m", "esc\\x1b[31m"),
        ("ünïcode", "ünïcode"),
        (
            {"_type": "histogram", "values": [10**400], "bins": [0, 1]},
            f'{{"_type": "histogram", "values": [{10**400}], "bins": [0, 1]}}',
        ),
    ],
)
def test_cells_are_one_harmless_line(value, text):
    assert output.cell(value) == text


def test_sparkline_shows_the_shape():
    assert output.sparkline([0, 1, 2, 3, 4, 5, 6, 7]) == "▁▂▃▄▅▆▇█"
    assert output.sparkline([3, 3, 3]) == "▁▁▁"
    assert output.sparkline([math.nan]) == ""
    assert len(output.sparkline(list(range(1000)))) == output.DRAWING_WIDTH
    assert output.sparkline([-1e308, 0.0, 1e308]) == "▁▅█"
    assert output.sparkline([0.0, 5e-324]) == "▁█"
    assert output.sparkline([1e308] * 50 + [-1e308] * 50, width=2) == "█▁"


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.5, "0.5 s"), (59, "59 s"), (61, "1 min 01 s"), (3700, "1 h 01 min")]
)
def test_durations_read_well(seconds, text):
    assert output.duration(seconds) == text


def test_no_color_is_respected(monkeypatch):
    class Terminal:
        def isatty(self) -> bool:
            return True

    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert output.is_coloured(Terminal())
    monkeypatch.setenv("NO_COLOR", "1")
    assert not output.is_coloured(Terminal())


@pytest.mark.parametrize(
    ("size", "text"), [(0, "0 B"), (1, "1 B"), (1023, "1023 B"), (1536, "1.5 KiB (1,536 bytes)")]
)
def test_an_exact_size_is_said_once(size, text):
    assert output.exact_size(size) == text
