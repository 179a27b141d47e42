from __future__ import annotations

import sys
from itertools import groupby
from pathlib import Path

import numpy as np
import pytest

import lineal as sdk
from lineal.cli import output
from lineal.cli.connect import all_of
from lineal.client.embedded.backend import EmbeddedBackend
from lineal.core.records import Page, PageRequest, RunSpec


@pytest.fixture
def trained(lineal):
    """Two runs in project demo: `low` that only logs, `high` that uses and logs artifacts."""
    with sdk.init(project="demo", id="low", name="low", tags=["old"], config={"lr": 1}) as run:
        run.log({"val_acc": 0.5})
    with sdk.init(project="demo", id="high", name="high", job_type="train", notes="ok") as run:
        data = sdk.Artifact("data", "dataset")
        with data.new_file("x.txt") as file:
            file.write("x")
        run.use_artifact(data)
        for step in range(100):
            run.log({"val_acc": step / 100, "loss": 1 / (step + 1)})
        run.log({"rare": 1, "loss": float("nan")})
        model = sdk.Artifact("model", "model")
        with model.new_file("m.txt") as file:
            file.write("m")
        run.log_artifact(model)
        Path("plot.txt").write_text("a plot")
        run.save("plot.txt")


def test_the_name_of_a_run_or_an_id_without_its_project_leads_to_it(lineal, trained):
    with sdk.init(project="demo", id="k3x9a1bq", name="bold owl"):
        pass

    def told(name: str) -> str:
        return lineal("run", "show", name, fails=True).err

    assert "`bold owl` is the name of ana/demo/k3x9a1bq" in told("demo/bold owl")
    assert "No run ana/uncategorized/bold owl (you are ana); `bold owl` is" in told("bold owl")
    assert "there is one in another project: ana/demo/k3x9a1bq" in told("k3x9a1bq")
    assert "Runs there: k3x9a1bq" in told("demo/nothing")
    assert "Projects there: demo" in told("nothing")


def test_ls_lists_the_newest_first_with_results(lineal, trained):
    runs = lineal("run", "ls", "demo", "--json").json
    assert [run["id"] for run in runs] == ["high", "low"]
    assert [run["state"] for run in runs] == ["finished", "finished"]
    table = lineal("run", "ls", "demo")
    assert "demo/low" in table.out
    assert "val_acc=0.5" in table.out


def test_ls_of_all_projects_lists_the_newest_first(lineal):
    for project, name in (("beta", "first"), ("alpha", "second"), ("beta", "third")):
        with sdk.init(project=project, id=name) as run:
            run.log({"loss": 1})
    runs = lineal("run", "ls", "--json").json
    assert [run["id"] for run in runs] == ["third", "second", "first"]
    assert lineal("run", "ls", "--limit", "1", "--json").json[0]["id"] == "third"
    ordered = lineal("run", "ls", "--order", "+created_at")
    assert "within each project" in ordered.err


def test_ls_filters_and_orders_in_the_database(lineal, trained):
    found = lineal("run", "ls", "demo", "--filter", '{"summary_metrics.val_acc": {"$gt": 0.9}}')
    assert "demo/high" in found.out
    assert "demo/low" not in found.out
    ordered = lineal("run", "ls", "demo", "--order", "+summary_metrics.val_acc", "--json").json
    assert [run["id"] for run in ordered] == ["low", "high"]


def test_ls_says_that_a_filter_leaves_nothing(lineal, trained):
    answer = lineal("run", "ls", "demo", "--filter", '{"state": "finishd"}')
    assert (answer.out, answer.err) == ("", 'No run matches {"state": "finishd"}\n')


def test_ls_says_when_it_stops_early(lineal, trained):
    answer = lineal("run", "ls", "demo", "--limit", "1")
    assert len(answer.lines) == 2
    assert "--limit 0" in answer.err
    assert "--limit 0" not in lineal("run", "ls", "demo", "--limit", "2").err
    assert len(lineal("run", "ls", "--limit", "0", "--json").json) == 2


def test_runs_are_printed_as_they_are_read(lineal, monkeypatch):
    backend = sdk.Api()._backend
    for number in range(101):  # a page, and one more
        backend.start_run(RunSpec("ana", "demo", f"run{number}"))
    happened = []
    read, written = EmbeddedBackend.runs, output._write
    monkeypatch.setattr(
        EmbeddedBackend, "runs", lambda *args: happened.append("read") or read(*args)
    )
    monkeypatch.setattr(output, "_write", lambda text: happened.append("print") or written(text))
    assert len(lineal("run", "ls", "demo", "--limit", "0", "--json").json) == 101
    assert [each for each, _ in groupby(happened)] == ["read", "print"] * 2


def test_a_short_list_asks_for_short_pages():
    sizes = []

    def fetch(request: PageRequest) -> Page[int]:
        sizes.append(request.size)
        return Page(tuple(range(request.size)), "more", None)

    assert list(all_of(fetch, limit=6)) == [0, 1, 2, 3, 4, 5]
    assert len(list(all_of(fetch, limit=250))) == 250
    assert sizes == [6, 100, 100, 100]


def test_pages_of_what_is_sorted_for_each_grow_with_the_list():
    sizes = []

    def fetch(request: PageRequest) -> Page[int]:
        sizes.append(request.size)
        return Page(tuple(range(request.size)), "more", None)

    assert len(list(all_of(fetch, limit=110, size=10, size_most=30))) == 110
    assert sizes == [10, 20, 30, 30, 30]
    assert len(list(all_of(fetch, limit=5, size=10, size_most=30))) == 5
    assert sizes[-1] == 5


def test_lists_do_not_count_what_they_do_not_show(lineal, trained, statements):
    lineal("run", "ls", "demo", "--limit", "1")
    lineal("run", "show", "demo/high")
    lineal("artifact", "ls", "demo")
    lineal("artifact", "ls", "demo/model")
    lineal("run", "files", "demo/high")
    assert not [each for each in statements if each.startswith("SELECT count(")]


@pytest.mark.parametrize("limit", ["-1", "99999999999999999999"])
def test_limits_that_are_no_number_of_things_are_refused(lineal, trained, limit):
    assert lineal("run", "ls", "--limit", limit, fails=True).code == 2
    assert lineal("deletions", "--limit", limit, fails=True).code == 2


def test_ls_of_an_unknown_project_is_an_error(lineal, trained):
    answer = lineal("run", "ls", "dmeo", fails=True)
    assert answer.code == 4
    assert "dmeo" in answer.err


@pytest.mark.parametrize("text", ["{", "1", '{"config.lr": {"$near": 1}}'])
def test_ls_explains_a_bad_filter(lineal, trained, text):
    assert lineal("run", "ls", "demo", "--filter", text, fails=True).code == 2


def test_show_has_config_results_curves_and_artifacts(lineal, trained):
    answer = lineal("run", "show", "demo/high")
    for expected in ("ana/demo/high", "finished", "train", "▁", "ana/demo/data:v0", "model:v0"):
        assert expected in answer.out
    shown = lineal("run", "show", "ana/demo/high", "--json").json
    assert shown["used_artifacts"] == ["ana/demo/data:v0"]
    assert shown["logged_artifacts"] == ["ana/demo/model:v0"]
    assert shown["steps"] == 101
    assert shown["summary"]["loss"] == "NaN"
    assert lineal("run", "show", "demo/low", "--json").json["config"] == {"lr": 1}


def test_show_has_settings_that_are_empty(lineal):
    config = {"dropout": None, "layers": [], "suffix": "", "warmup": 0}
    with sdk.init(project="demo", id="empty", config=config):
        pass
    shown = lineal("run", "show", "demo/empty").lines
    told = dict(line.split() for line in shown[shown.index("config") + 1 :] if line)
    assert told == {"dropout": "null", "layers": "[]", "suffix": '""', "warmup": "0"}


def test_show_names_some_of_many_artifacts_and_counts_the_rest(lineal):
    with sdk.init(project="demo", id="many") as run:
        for number in range(53):
            artifact = sdk.Artifact(f"part{number:02}", "part")
            artifact.metadata = {"number": number}
            run.log_artifact(artifact)
    parts = [f"ana/demo/part{number:02}:v0" for number in range(53)]
    shown = lineal("run", "show", "demo/many").lines
    told = shown[shown.index("logged artifacts") + 1 :]
    assert [line.split()[0] for line in told[:-1]] == parts[:50]
    assert told[-1] == "… and 3 more; `--json` lists them all"
    assert lineal("run", "show", "demo/many", "--json").json["logged_artifacts"] == parts


def test_history_prints_every_row(lineal, trained):
    rows = lineal("run", "history", "demo/high", "--json").json
    assert [row["_step"] for row in rows] == list(range(101))
    assert rows[7]["val_acc"] == 0.07
    table = lineal("run", "history", "demo/high")
    assert table.lines[0].split() == ["_step", "loss", "rare", "val_acc"]
    assert len(table.lines) == 102


def test_histograms_are_drawn(lineal):
    with sdk.init(project="demo", id="drawn") as run:
        run.log({"weights": sdk.Histogram(np_histogram=([0, 7, 3.5], [-1, 0, 1, 2.5]))})
        run.log({"weights": {"_type": "histogram", "bins": 1}})
    shown = lineal("run", "show", "demo/drawn").out
    assert '{"_type": "histogram", "bins": 1}' in shown
    first, second = lineal("run", "history", "demo/drawn").out.splitlines()[1:]
    assert first.split() == ["0", "-1", "▁█▅", "2.5"]
    assert "_type" in second


def test_curves_may_be_as_far_apart_as_numbers_are(lineal):
    with sdk.init(project="demo", id="far") as run:
        for value in (-1e308, 0.0, 1e308):
            run.log({"far": value})
    assert "far  ▁▅█  -1e+308 → 1e+308" in lineal("run", "show", "demo/far").out


def test_a_metric_is_one_column_whatever_its_name(lineal):
    with sdk.init(project="demo", id="named") as run:
        run.log({"a\nb": 1, "損失": 2})
    assert lineal("run", "history", "demo/named").out == "_step  a\\nb  損失\n    0     1     2\n"


def test_media_take_a_few_words_and_long_values_are_cut_in_a_history(lineal):
    with sdk.init(project="demo", id="media") as run:
        run.log(
            {
                "image": sdk.Image(np.zeros((2, 3, 3), "uint8")),
                "images": [sdk.Image(np.zeros((2, 3, 3), "uint8"))] * 2,
                "table": sdk.Table(columns=["a", "b"], data=[[1, 2]]),
                "numbers": list(range(100)),
            }
        )
    answer = lineal("run", "history", "demo/media")
    for part in ("image 3 × 2: media/images/image_0_", "2 images 3 × 2: ", "table of 1 row, 2 col"):
        assert part in answer.out
    assert "0, 1, 2, 3, 4" in answer.out
    assert max(map(len, answer.lines)) < 250
    assert "Cut to 60 characters: images, numbers; `--json` prints all" in answer.err
    assert lineal("run", "history", "demo/media", "--json").json[0]["numbers"] == list(range(100))
    assert ", 98, 99" in lineal("run", "show", "demo/media").out


def test_history_keeps_rows_that_have_all_keys(lineal, trained):
    table = lineal("run", "history", "demo/high", "--keys", "rare,loss")
    assert len(table.lines) == 2


def test_history_says_when_no_row_has_the_keys(lineal, trained):
    answer = lineal("run", "history", "demo/high", "--keys", "rare,los")
    assert answer.out == ""
    assert "`rare` and `los`; this run has: _step, loss, rare, val_acc" in answer.err


def test_files_are_listed_and_fetched(lineal, trained):
    listed = lineal("run", "files", "demo/high", "--json").json
    assert "plot.txt" in [file["name"] for file in listed]
    assert "plot.txt" in lineal("run", "files", "demo/high").out
    lineal("run", "files", "demo/high", "--get", "plot.txt", "--root", "fetched")
    assert Path("fetched/plot.txt").read_text() == "a plot"


def test_a_run_without_files_is_said_to_have_none(lineal):
    sdk.Api().create_run("bare", project="demo")
    answer = lineal("run", "files", "demo/bare")
    assert (answer.out, answer.err) == ("", "No files are saved with ana/demo/bare\n")


def test_fetching_a_file_overwrites_nothing_unasked(lineal, trained):
    Path("plot.txt").write_text("mine")
    answer = lineal("run", "files", "demo/high", "--get", "nope", fails=True)
    assert answer.code == 4
    assert "`lineal run files ana/demo/high` lists all" in answer.err
    get = ("run", "files", "demo/high", "--get", "plot.txt")
    assert "--replace" in lineal(*get, "--get", "requirements.txt", fails=True).err
    assert Path("plot.txt").read_text() == "mine"
    assert not Path("requirements.txt").exists()
    assert lineal(*get, "--replace", "--json").json == ["./plot.txt"]
    assert Path("plot.txt").read_text() == "a plot"
    assert lineal(*get).out == "./plot.txt\n"


def test_pull_names_what_is_in_its_way(lineal, trained):
    Path("taken").write_text("mine")
    answer = lineal("pull", "demo/high", "--root", "taken", fails=True)
    assert (answer.code, "a file is where a folder belongs" in answer.err) == (5, True)
    assert Path("taken").read_text() == "mine"


def test_pull_fetches_all_files_and_overwrites_nothing_unasked(lineal, trained):
    names = {each["name"] for each in lineal("run", "files", "demo/high", "--json").json}
    assert names
    assert lineal("pull", "demo/high", "--root", "out").out == "out\n"
    assert {name for name in names if Path("out", name).is_file()} == names
    assert "0 files" in lineal("pull", "demo/high", "--root", "out").err
    changed = Path("out", min(names))
    changed.write_text("mine")
    assert "--replace" in lineal("pull", "demo/high", "--root", "out", fails=True).err
    assert changed.read_text() == "mine"
    assert "1 file," in lineal("pull", "demo/high", "--root", "out", "--replace").err


def test_log_prints_what_the_run_printed(lineal):
    with sdk.init(project="demo", id="talks"):
        print("hello there")
        print("and an error", file=sys.stderr)
    out = lineal("run", "log", "demo/talks").out
    assert "hello there\n" in out
    assert "and an error\n" in out
    lines = lineal("run", "log", "demo/talks", "--json").json
    assert any(line["content"].startswith("hello") for line in lines)


def test_rm_deletes_the_run_and_keeps_its_artifacts(lineal, trained):
    stays = "What it logged stays (1 version); `--delete-artifacts` takes it along\n"
    asked = lineal("run", "rm", "demo/high", fails=True)
    assert asked.code == 2
    assert asked.err.startswith(stays)
    assert lineal("run", "rm", "demo/high", "--yes").err == stays
    assert lineal("run", "show", "demo/high", fails=True).code == 4
    assert lineal("artifact", "show", "demo/model:v0").code == 0


def test_rm_says_nothing_of_versions_that_are_deleted_already(lineal, trained):
    lineal("artifact", "rm", "demo/model:v0", "--delete-aliases", "--yes")
    assert lineal("run", "rm", "demo/high", "--yes").err == ""


def test_rm_asks_on_one_line_whatever_the_run_is_called(lineal):
    with sdk.init(project="demo", id="odd", name="two\nlines\x1b[31m"):
        pass
    answer = lineal("run", "rm", "demo/odd", fails=True)
    assert answer.err.startswith("error: Delete run ana/demo/odd (two\\nlines\\x1b[31m)? ")


def test_rm_can_take_the_artifacts_along(lineal, trained):
    lineal("run", "rm", "demo/high", "--delete-artifacts", "--yes")
    assert lineal("artifact", "show", "demo/model:v0", fails=True).code == 4


def test_restoring_a_run_that_is_there_says_so(lineal, trained):
    assert lineal("run", "restore", "demo/high").out == ""
    assert "was not deleted" in lineal("run", "restore", "demo/high").err
    lineal("run", "rm", "demo/high", "--yes")
    assert lineal("run", "restore", "demo/high").out == "Restored run ana/demo/high\n"
    assert "Nothing of deletion 1 is deleted" in lineal("deletions", "--restore", "1").err


def test_deletions_say_when_they_stop_early(lineal, trained):
    for run in ("high", "low"):
        lineal("run", "rm", f"demo/{run}", "--yes")
    answer = lineal("deletions", "--limit", "1")
    assert len(answer.lines) == 2
    assert "--limit 0" in answer.err
    assert lineal("deletions", "--limit", "2").err == ""


def test_an_unknown_run_is_an_error_that_names_it(lineal, trained):
    answer = lineal("run", "show", "demo/hihg", fails=True)
    assert answer.code == 4
    assert "ana/demo/hihg" in answer.err
