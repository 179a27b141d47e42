"""Config files in YAML: what a few lines can stand for."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from lineal.client.run.config import RunConfig
from lineal.client.run.config_files import VALUES_MOST, read_yaml
from lineal.errors import Invalid


def levels(line: str) -> str:
    """Return lines, each of which names the one before nine times."""
    names = "abcdefghij"
    lines = [f"a: &a {line.format('')}"]
    for before, name in itertools.pairwise(names):
        lines.append(f"{name}: &{name} " + line.format(", ".join([f"*{before}"] * 9)))
    return "\n".join(lines)


@pytest.mark.parametrize("line", ["[{}]", "{{<<: [{}], x: 1}}", "{{value: [{}]}}"])
def test_aliases_of_aliases_are_refused_before_they_are_copied(line):
    Path("laughs.yaml").write_text(levels(line))
    for read in (read_yaml, lambda path: RunConfig().update(path)):
        with pytest.raises(Invalid, match=rf"laughs\.yaml.* more than {VALUES_MOST:,} values"):
            read("laughs.yaml")


def test_aliases_and_merges_of_a_useful_size_are_read():
    Path("config.yaml").write_text(
        "base: &base {lr: 1e-3, layers: &layers [64, 64]}\n"
        "big: {<<: *base, layers: [*layers, *layers]}\n"
        "small: {<<: [*base, {depth: 2}], lr: 1}\n"
    )
    assert read_yaml("config.yaml") == {
        "base": {"lr": 0.001, "layers": [64, 64]},
        "big": {"lr": 0.001, "layers": [[64, 64], [64, 64]]},
        "small": {"lr": 1, "layers": [64, 64], "depth": 2},
    }


def test_as_many_values_as_may_be_are_read(monkeypatch):
    monkeypatch.setattr("lineal.client.run.config_files.VALUES_MOST", 6)
    Path("config.yaml").write_text("a: &a [1]\nb: [*a]\n")
    assert read_yaml("config.yaml") == {"a": [1], "b": [[1]]}
    Path("config.yaml").write_text("a: &a [1]\nb: [*a, 2]\n")
    with pytest.raises(Invalid, match="more than 6 values"):
        read_yaml("config.yaml")


def test_what_holds_itself_is_told_when_it_is_copied():
    Path("config.yaml").write_text("a: &a [*a]\n")
    with pytest.raises((Invalid, TypeError), match="a"):
        RunConfig().update("config.yaml")
