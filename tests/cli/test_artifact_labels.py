from __future__ import annotations

import pytest


def put_again(lineal, photos, text: str) -> None:
    (photos / "a.txt").write_text(text)
    lineal("artifact", "put", str(photos), "-n", "demo/photos")


def test_alias_moves_and_its_history_is_kept(lineal, photos):
    put_again(lineal, photos, "second\n")
    assert "prod" in lineal("artifact", "alias", "demo/photos:v0", "prod").out
    lineal("artifact", "alias", "demo/photos:v1", "prod")
    moves = lineal("artifact", "alias", "demo/photos", "prod", "--history", "--json").json
    assert sorted((move["before"] or "-", move["after"]) for move in moves) == [
        ("-", "v0"),
        ("v0", "v1"),
    ]
    assert {move["actor"] for move in moves} == {"ana"}
    assert "raw" in lineal("artifact", "alias", "demo/photos", "--history").out


def test_the_history_of_an_alias_that_never_was_is_said_to_be_none(lineal, photos):
    answer = lineal("artifact", "alias", "demo/photos", "nope", "--history")
    assert (answer.out, answer.err) == ("", "ana/demo/photos never had an alias `nope`\n")
    assert lineal("artifact", "alias", "demo/photos", "nope", "--history", "--json").json == []


def test_a_changed_alias_is_json_too(lineal, photos):
    changed = lineal("artifact", "alias", "demo/photos:v0", "prod", "--json").json
    assert changed["aliases"] == ["latest", "prod", "raw"]


def test_alias_can_be_taken_off(lineal, photos):
    lineal("artifact", "alias", "demo/photos:v0", "raw", "--remove")
    assert lineal("artifact", "show", "demo/photos", "--json").json["aliases"] == ["latest"]


def test_taking_off_what_is_not_there_says_so(lineal, photos):
    answer = lineal("artifact", "alias", "demo/photos:v0", "prod", "--remove")
    assert "has no alias `prod`" in answer.err
    answer = lineal("artifact", "tag", "demo/photos:v0", "holiday", "checked", "--remove")
    assert "has no tag `checked`" in answer.err
    assert "no tags" in answer.out


def test_alias_moves_only_from_where_it_is_expected(lineal, photos):
    put_again(lineal, photos, "second\n")
    answer = lineal("artifact", "alias", "demo/photos:v1", "raw", "--expect", "v1", fails=True)
    assert answer.code == 5
    lineal("artifact", "alias", "demo/photos:v1", "raw", "--expect", "v0")
    lineal("artifact", "alias", "demo/photos:v1", "new", "--expect", "none")
    answer = lineal("artifact", "alias", "demo/photos:v0", "new", "--expect", "none", fails=True)
    assert answer.code == 5


@pytest.mark.parametrize(
    "words",
    [("v7",), ("a/b",), ("ok", "--expect", "soon"), (), ("raw", "--remove", "--history")],
    ids=lambda words: " ".join(words),
)
def test_alias_refuses_what_makes_no_sense(lineal, photos, words):
    assert lineal("artifact", "alias", "demo/photos:v0", *words, fails=True).code == 2


def test_tags_are_put_on_and_taken_off(lineal, photos):
    assert "checked" in lineal("artifact", "tag", "demo/photos:v0", "checked", "big set").out
    lineal("artifact", "tag", "demo/photos:v0", "holiday", "checked", "--remove")
    assert lineal("artifact", "show", "demo/photos", "--json").json["tags"] == ["big set"]


def test_link_shows_the_version_under_another_name(lineal, photos):
    lineal("artifact", "link", "demo/photos:raw", "shelf/pictures", "-a", "production")
    linked = lineal("artifact", "show", "shelf/pictures:production", "--json").json
    assert linked["name"] == "ana/shelf/pictures:v0"
    assert linked["source"] == "ana/demo/photos:v0"
