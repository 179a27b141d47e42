"""Names: what is accepted is safe everywhere it ends up (NAM-1…NAM-4, ALI-3, TAG-1)."""

from __future__ import annotations

import ntpath
import posixpath
import re
from collections.abc import Callable
from enum import Enum
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from lineal.core import file_paths, names
from lineal.errors import Invalid

ANY_TEXT = st.text(st.characters(codec=None)) | st.text("av1.-_ /\\:%#?\n\0\ud800", max_size=8)
SINGLE_NAMES: list[Callable[[str], str]] = [
    names.artifact_name,
    names.type_name,
    names.project_name,
    names.entity_name,
    names.run_id,
    names.alias,
    names.tag,
]
FOLDER_NAMES: list[Callable[[str], str]] = [
    names.artifact_name,
    names.project_name,
    names.entity_name,
    names.run_id,
]


def accepted(rule: Callable[[str], str], text: str) -> str | None:
    try:
        return rule(text)
    except Invalid:
        return None


@pytest.mark.parametrize("rule", SINGLE_NAMES)
@given(text=ANY_TEXT)
def test_accepted_name_fits_into_paths_urls_and_the_database(
    rule: Callable[[str], str], text: str
) -> None:
    name = accepted(rule, text)
    if name is None:
        return
    assert name == text
    assert name.strip()
    assert len(name) <= 128
    assert not set(name) & set("/:\n\r\0")
    name.encode()


@pytest.mark.parametrize("rule", FOLDER_NAMES)
@given(text=ANY_TEXT)
@example(text="..")
@example(text=".")
def test_accepted_name_is_a_folder_of_its_own(rule: Callable[[str], str], text: str) -> None:
    name = accepted(rule, text)
    if name is not None:
        assert posixpath.dirname(posixpath.normpath(posixpath.join("/root", name))) == "/root"
        assert ntpath.dirname(ntpath.normpath(ntpath.join("c:\\root", name))) == "c:\\root"


@pytest.mark.parametrize("rule", SINGLE_NAMES)
@pytest.mark.parametrize("wrong", [None, 3, b"x", "", "  ", "a/b", "a:b", "a\nb", "x" * 129])
def test_what_is_no_name_is_invalid(rule: Callable[[Any], str], wrong: Any) -> None:
    with pytest.raises(Invalid):
        rule(wrong)


@pytest.mark.parametrize("text", ["Größe", "my photos", "写真"])
def test_words_that_are_no_name_are_told_to_be_a_display_name(text: str) -> None:
    with pytest.raises(Invalid, match=r"only ASCII letters.*can be the `display_name`"):
        names.artifact_name(text)
    assert names.display_name(text) == text


@pytest.mark.parametrize("text", ["photos:v3", "a/b", "..", "", "a\nb"])
def test_what_else_is_no_name_is_not(text: str) -> None:
    with pytest.raises(Invalid) as raised:
        names.artifact_name(text)
    assert "display_name" not in str(raised.value)


@given(text=ANY_TEXT)
def test_display_name_is_one_line_that_the_database_takes(text: str) -> None:
    try:
        shown = names.display_name(text)
    except Invalid:
        return
    if shown is None:
        assert not text.strip()
    else:
        assert shown.splitlines() == [shown]
        assert len(shown) <= 128
        assert shown.encode()
        assert names.display_name(shown) == shown


@pytest.mark.parametrize("wrong", ["a\nb", "a\tb", "\x1b[31m", "a\u2028b", "x" * 129, 3])
def test_what_is_no_display_name_is_invalid(wrong: Any) -> None:
    with pytest.raises(Invalid, match="Display name"):
        names.display_name(wrong)


@pytest.mark.parametrize("rule", SINGLE_NAMES)
def test_usual_names_are_accepted(rule: Callable[[str], str]) -> None:
    assert rule("mnist-train_2") == "mnist-train_2"


def test_letters_of_an_entity_are_said_to_be_ascii() -> None:
    with pytest.raises(Invalid, match="Entity 'josé' may hold only ASCII letters"):
        names.entity_name("josé")


@pytest.mark.parametrize("rule", [*SINGLE_NAMES, file_paths.entry_path])
def test_a_name_is_plain_text_where_a_member_of_an_enum_is_given(
    rule: Callable[[str], str],
) -> None:
    word = Enum("word", {"A": "name"}, type=str)
    assert f"{rule(word.A)}" == "name"


def test_name_may_have_128_characters_and_a_run_id_64() -> None:
    assert names.artifact_name("x" * 128)
    assert names.run_id("x" * 64)
    with pytest.raises(Invalid, match="longer than 64"):
        names.run_id("x" * 65)


@pytest.mark.parametrize("name", ["v0", "v3", "v10"])
def test_alias_that_reads_as_a_version_is_reserved(name: str) -> None:
    with pytest.raises(Invalid, match="always mean a version"):
        names.alias(name)


@pytest.mark.parametrize("name", ["prod ", " prod", "prod\t"])
def test_alias_that_looks_like_another_is_refused(name: str) -> None:
    with pytest.raises(Invalid, match="begin or end"):
        names.alias(name)


@pytest.mark.parametrize("name", ["v", "v01", "V3", "v3a", "version 3", "best", "latest"])
def test_other_aliases_are_free(name: str) -> None:
    assert names.alias(name) == name
    assert names.version_number(name) is None


@given(number=st.integers(0, 10**9))
def test_version_number_is_read_back(number: int) -> None:
    assert names.version_number(f"v{number}") == number


@pytest.mark.parametrize("name", ["lr=0.1", "policy:act", "v1.0", "a/b", "día 1", "x" * 128])
def test_a_tag_of_a_run_may_be_any_text(name: str) -> None:
    assert names.run_tags([name, name]) == [name]


@pytest.mark.parametrize("name", ["", " ", "a\nb", "a\0b", "x" * 129, "\ud800", None, 5])
def test_what_is_no_line_of_text_is_no_tag_of_a_run(name: str) -> None:
    with pytest.raises(Invalid, match=r"^Tag "):
        names.run_tags([name])


def test_one_string_counts_as_a_list_of_one() -> None:
    assert names.aliases("best") == ["best"]
    assert names.tags(None) == []
    assert names.aliases(["b", "a", "b"]) == ["b", "a"]


@pytest.mark.parametrize(
    ("name", "type"),
    [("x", "job"), ("x", "wandb-history"), ("source-x", "code"), ("run-1-t", "run_table")],
)
def test_what_lineal_makes_itself_is_reserved(name: str, type: str) -> None:
    with pytest.raises(Invalid, match="reserved"):
        names.user_artifact(name, type)


@pytest.mark.parametrize(("name", "type"), [(None, "code"), ("x", "code"), ("t", "run_table")])
def test_types_of_the_same_words_are_free_otherwise(name: str | None, type: str) -> None:
    names.user_artifact(name, type)


@given(text=ANY_TEXT | st.text(min_size=120, max_size=300))
@example(text="\ud800" * 200)
def test_generated_name_is_always_valid(text: str) -> None:
    assert names.artifact_name(names.generated(text))


@given(stem=st.text("ab", min_size=200, max_size=200))
def test_long_texts_that_differ_generate_names_that_differ(stem: str) -> None:
    assert names.generated(stem + "1") != names.generated(stem + "2")


@pytest.mark.parametrize(("one", "other"), [("数据", "данные"), ("größe", "grüße"), ("a😀", "a😁")])
def test_texts_in_other_letters_generate_names_that_differ(one: str, other: str) -> None:
    assert names.generated(one) != names.generated(other)


def test_the_same_letters_spelt_otherwise_generate_the_same_name() -> None:
    assert names.generated("gro\u0308ße") == names.generated("größe")
    assert names.generated_project("gro\u0308ße") == names.generated_project("größe") == "größe"


@pytest.mark.parametrize("text", ["train.py", "a b/c", "x:y%z", "..."])
def test_a_name_generated_from_ascii_has_no_hash(text: str) -> None:
    assert re.fullmatch(r"[a-z_.]+", names.generated(text))


def test_names_generated_apart_are_those_of_one_text_each() -> None:
    texts = ["run-a-val_t", "run-a-val/t", "run-a-val t", "run-a-väl/t", "b" * 200, "b" * 201]
    found = [names.artifact_name(names.generated_apart(text)) for text in texts]
    assert len(set(found)) == len(texts)
    assert (found[0], found[1][:-8]) == ("run-a-val_t", "run-a-val_t-")


@given(text=ANY_TEXT | st.text(min_size=120, max_size=300))
@example(text="\ud800" * 200)
@example(text="\x85")
def test_generated_name_of_a_project_is_always_valid(text: str) -> None:
    assert names.project_name(names.generated_project(text))


@pytest.mark.parametrize(
    ("text", "project"),
    [("数据", "数据"), ("हिन्दी", "हिन्दी"), ("My Repo ü", "My_Repo_ü"), ("a%b (copy)", "a_b_copy_")],
)
def test_a_project_is_named_in_its_own_letters(text: str, project: str) -> None:
    assert names.generated_project(text) == project
