"""What artifacts there are, and what is in one: `lineal artifact ls`, `lineal artifact show`."""

from __future__ import annotations

import os
from pathlib import Path

from lineal.cli import artifact_listing
from lineal.client.embedded.backend import EmbeddedBackend
from lineal.client.public.api import Api


def test_ls_lists_the_collections_of_a_project(lineal, photos):
    Path("m").write_text("m")
    lineal("artifact", "put", "m", "-n", "demo/model", "-t", "model")
    table = lineal("artifact", "ls", "demo")
    assert table.lines[0].split() == ["type", "updated", "size", "versions", "latest"]
    assert "photos:v0" in table.out
    assert "model:v0" in table.out
    only = lineal("artifact", "ls", "demo", "-t", "model", "--json").json
    assert [each["name"] for each in only] == ["ana/demo/model"]


def test_ls_lists_the_versions_of_a_name_newest_first(lineal, photos):
    (photos / "a.txt").write_text("changed\n")
    lineal("artifact", "put", str(photos), "-n", "demo/photos")
    listed = lineal("artifact", "ls", "demo/photos", "--json").json
    assert [version["version"] for version in listed] == ["v1", "v0"]
    assert listed[1]["tags"] == ["holiday"]
    assert "raw" in lineal("artifact", "ls", "demo/photos").out


def test_ls_names_some_of_many_labels(lineal, photos):
    version = Api().artifact("demo/photos")
    version.aliases += [f"a{number:02}" for number in range(13)]
    version.tags += [f"t{number:02}" for number in range(11)]
    version.save()
    told = lineal("artifact", "ls", "demo/photos").out
    assert "a00, a01, a02, a03, a04, a05, a06, a07, a08, a09, … 5 more" in told
    assert "t07, t08, … 2 more" in told
    assert "a12, latest" in lineal("artifact", "show", "demo/photos").out


def test_ls_finds_versions_by_their_metadata(lineal, photos):
    for number, accuracy in enumerate((0.7, 0.9, 0.8), 1):
        (photos / "a.txt").write_text(f"changed {number}\n")
        lineal("artifact", "put", str(photos), "-n", "demo/photos",
               "--metadata", f'{{"accuracy": {accuracy}}}')  # fmt: skip
    good = ("--filter", '{"metadata.accuracy": {"$gt": 0.75}}')
    found = lineal("artifact", "ls", "demo/photos", *good, "--json").json
    assert [version["version"] for version in found] == ["v3", "v2"]
    best = lineal("artifact", "ls", "demo/photos", "--order", "-metadata.accuracy")
    assert [line.split()[0] for line in best.lines[1:]] == ["v2", "v3", "v1", "v0"]
    none = lineal("artifact", "ls", "demo/photos", "--filter", '{"metadata.accuracy": 2}')
    assert "photos has no version that matches" in none.err
    wrong = lineal("artifact", "ls", "demo/photos", "--filter", "[]", fails=True)
    assert "must be a JSON object" in wrong.err


def test_ls_finds_collections_too(lineal, photos):
    lineal("artifact", "put", str(photos), "-n", "demo/other", "-t", "model")
    found = lineal("artifact", "ls", "demo", "--filter", '{"type": "model"}', "--json").json
    assert [each["name"] for each in found] == ["ana/demo/other"]
    ordered = lineal("artifact", "ls", "demo", "--order", "-name", "--json").json
    assert [each["name"] for each in ordered] == ["ana/demo/photos", "ana/demo/other"]


def test_ls_asks_for_large_pages_where_each_is_sorted(lineal, photos, monkeypatch):
    for number in range(8):
        lineal("artifact", "put", str(photos), "-n", f"demo/more{number}")
    sizes = []
    read = EmbeddedBackend.collections

    def collections(backend, query, page):
        sizes.append(page.size)
        return read(backend, query, page)

    monkeypatch.setattr(EmbeddedBackend, "collections", collections)
    monkeypatch.setattr(artifact_listing, "BULK_PAGE_SIZE", 1)
    assert len(lineal("artifact", "ls", "demo", "--order", "-updated_at", "--json").json) == 9
    assert sizes == [1, 2, 6]


def test_ls_says_that_an_order_is_within_each_project(lineal, photos):
    lineal("artifact", "put", str(photos), "-n", "second/pictures")
    assert "Ordered within each project" in lineal("artifact", "ls", "--order", "-name").err
    assert "Ordered within" not in lineal("artifact", "ls", "demo", "--order", "-name").err


def test_a_display_name_is_shown_beside_the_name(lineal, photos):
    assert "display name" not in lineal("artifact", "ls", "demo").out
    answer = lineal("artifact", "display-name", "demo/photos", "Größe, 写真")
    assert answer.out == "ana/demo/photos: Größe, 写真\n"
    (line,) = lineal("artifact", "ls", "demo").out.splitlines()[1:]
    assert "photos:v0" in line
    assert line.endswith("Größe, 写真")
    assert "Größe, 写真" in lineal("artifact", "show", "demo/photos").out
    assert lineal("artifact", "show", "demo/photos", "--json").json["display_name"] == "Größe, 写真"
    (shown,) = lineal("artifact", "ls", "demo", "--json").json
    assert shown["display_name"] == "Größe, 写真"
    assert "no display name" in lineal("artifact", "display-name", "demo/photos", "").out
    (shown,) = lineal("artifact", "ls", "demo", "--json").json
    assert shown["display_name"] is None


def test_a_version_has_no_display_name(lineal, photos):
    answer = lineal("artifact", "display-name", "demo/photos:v0", "Photos", fails=True)
    assert "only their collection has" in answer.err


def test_what_shows_no_metadata_does_not_load_it(lineal, photos, statements):
    lineal("artifact", "ls", "demo/photos")
    lineal("retention", "expiring", "--within", "9999d")
    (run,) = lineal("run", "ls", "demo", "--json").json
    assert "demo/photos:v0" in lineal("run", "show", f"demo/{run['id']}").out
    lineal("artifact", "rm", "demo/photos", "--keep-last", "0", "--dry-run")
    lineal("artifact", "rm", "demo/photos", "--all", "--dry-run")
    assert not [each for each in statements if "versions.metadata" in each]


def test_ls_as_json_has_the_metadata(lineal):
    Path("a.csv").write_text("1\n")
    lineal("artifact", "put", "a.csv", "-n", "demo/a", "--metadata", '{"rows": 1}')
    (listed,) = lineal("artifact", "ls", "demo/a", "--json").json
    assert listed["metadata"] == {"rows": 1}


def test_ls_of_everything_names_the_projects(lineal, photos):
    assert "demo/photos:v0" in lineal("artifact", "ls").out


def test_ls_uses_the_project_that_is_set(lineal, photos, monkeypatch):
    monkeypatch.setenv("LINEAL_PROJECT", "demo")
    assert lineal("artifact", "ls").lines[1].endswith(" photos:v0")
    assert lineal("artifact", "ls", "photos", "--json").json[0]["version"] == "v0"


def test_ls_of_the_unknown_names_what_is_near(lineal, photos):
    assert "did you mean `demo`?" in lineal("artifact", "ls", "dem", fails=True).err
    assert "did you mean `demo/photos`?" in lineal("artifact", "ls", "dmo/photos", fails=True).err
    assert "did you mean photos?" in lineal("artifact", "ls", "demo/photo", fails=True).err


def test_ls_of_the_unknown_says_what_was_looked_for(lineal, photos):
    answer = lineal("artifact", "ls", "nothing", fails=True)
    assert answer.code == 4
    assert "project ana/nothing" in answer.err


def test_ls_of_a_type_that_is_not_there_names_those_that_are(lineal, photos):
    answer = lineal("artifact", "ls", "demo", "-t", "model")
    assert "types here: dataset" in answer.err
    assert answer.out == ""


def test_ls_of_an_empty_instance_prints_an_empty_list(lineal):
    assert lineal("artifact", "ls", "--json").json == []


def test_show_names_producer_and_consumers(lineal, photos):
    run = lineal("run", "ls", "demo", "--json").json[0]
    answer = lineal("artifact", "show", "demo/photos:raw")
    assert run["path"] in answer.out
    assert "cats/b.txt" in answer.out
    assert "holiday" in answer.out


def test_show_says_how_many_files_it_leaves_out(lineal):
    os.mkdir("many")
    for number in range(25):
        Path(f"many/{number:02}.txt").write_text(str(number))
    lineal("artifact", "put", "many", "-n", "demo/many")
    short = lineal("artifact", "show", "demo/many")
    assert "5 more" in short.err
    assert "24.txt" not in short.out
    assert "24.txt" in lineal("artifact", "show", "demo/many", "--files").out


def test_names_from_a_hostile_file_cannot_reach_the_terminal(lineal):
    os.mkdir("odd")
    Path("odd/a\x1b[31mb").write_text("x")
    lineal("artifact", "put", "odd", "-n", "demo/odd")
    answer = lineal("artifact", "show", "demo/odd")
    assert "\x1b" not in answer.out
    assert "\\x1b[31m" in answer.out


def test_of_many_runs_that_used_a_version_some_are_named(lineal, photos):
    api = Api()
    photos = api.artifact("demo/photos")
    paths = []
    for number in range(23):
        run = api.create_run(run_id=f"run{number:02}", project="demo")
        run.use_artifact(photos)
        paths.append("/".join(run.path))
    (line,) = (
        line for line in lineal("artifact", "show", "demo/photos").lines if "used by" in line
    )
    assert line.split(None, 2)[2] == ", ".join([*paths[:20], "and 3 more; `--json` lists them all"])
    assert lineal("artifact", "show", "demo/photos", "--json").json["used_by"] == paths
