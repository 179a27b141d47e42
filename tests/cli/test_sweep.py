"""`lineal sweep …` and `lineal agent` as a person types them."""

from __future__ import annotations

import html
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import lineal as sdk

FILE = """
method: grid
project: p
metric: {name: loss}
command: [bash, -c, "exit 0"]
parameters:
  a: {values: [1, 2]}
  b: {parameters: {c: {value: 3}}}
"""


@pytest.fixture
def path(lineal) -> str:
    Path("sweep.yaml").write_text(FILE)
    return lineal("sweep", "sweep.yaml").out.strip()


def test_a_file_makes_a_sweep_that_agents_carry_out(lineal, path):
    assert re.fullmatch(r"ana/p/[a-z0-9]{8}", path)
    assert "No sweeps" not in lineal("sweep", "ls").err
    lineal("agent", path)
    shown = lineal("sweep", "show", path).out
    assert "2 finished" in shown
    assert "a=1 b.c=3" in shown
    (listed,) = lineal("sweep", "ls", "p", "--json").json
    assert (listed["path"], listed["state"], listed["trials"]["finished"]) == (path, "finished", 2)


def test_ls_of_all_projects_lists_the_newest_first(lineal):
    Path("sweep.yaml").write_text(FILE)
    made = [
        lineal("sweep", "sweep.yaml", "--project", project).out.strip()
        for project in ("beta", "alpha", "beta")
    ]
    assert [sweep["path"] for sweep in lineal("sweep", "ls", "--json").json] == made[::-1]


def test_short_options_are_those_of_wandb(lineal):
    Path("sweep.yaml").write_text(FILE)
    first = lineal("sweep", "-p", "beta", "-e", "ana", "sweep.yaml").out.strip()
    assert first.startswith("ana/beta/")
    lineal("agent", "-p", "beta", "-e", "ana", "--count", "1", first.rpartition("/")[2])
    with sdk.init(project="beta", config={"a": 1, "b": {"c": 3}}) as run:
        run.log({"loss": 1})
    assert lineal("sweep", "sweep.yaml", "-p", "beta", "-R", run.id).code == 0


def test_the_work_tree_of_lineal_itself_is_nobodys_project():
    Path("sweep.yaml").write_text(FILE.replace("project: p\n", ""))
    command = [sys.executable, "-m", "lineal", "sweep", "sweep.yaml"]
    made = subprocess.run(command, capture_output=True, text=True, check=True)
    assert made.stdout.startswith("ana/uncategorized/")


def test_an_agent_that_finds_nothing_left_to_do_says_so(lineal, path):
    assert "No trial was left" not in lineal("agent", path).err
    answer = lineal("agent", path)
    assert f"No trial was left to carry out; `lineal sweep show {path}` lists them" in answer.err


def test_an_agent_looks_for_an_id_where_the_project_says(lineal, path):
    sweep_id = path.rpartition("/")[2]
    with sdk.init(project="other"):
        pass
    answer = lineal("agent", "-p", "other", sweep_id, fails=True)
    assert (answer.code, f"No sweep ana/other/{sweep_id}" in answer.err) == (4, True)
    lineal("agent", sweep_id)
    assert "2 finished" in lineal("sweep", "show", path).out


def test_an_agent_whose_trials_all_fail_fails(lineal):
    Path("sweep.yaml").write_text(FILE.replace("exit 0", "exit ${a}"))
    path = lineal("sweep", "sweep.yaml").out.strip()
    assert lineal("agent", path, "--count", "1", fails=True).code == 1
    Path("sweep.yaml").write_text(FILE.replace("exit 0", "exit $((${a} - 1))"))
    lineal("agent", lineal("sweep", "sweep.yaml").out.strip())


@pytest.mark.parametrize("count", ["0", "-3"])
def test_an_agent_refuses_to_do_nothing(lineal, path, count):
    assert lineal("agent", path, "--count", count, fails=True).code == 2


def test_what_is_said_of_a_sweep_is_json_too(lineal, path):
    lineal("agent", path, "--count", "1")
    shown = lineal("sweep", "show", path, "--json").json
    assert [trial["parameters"] for trial in shown["trials"]] == [{"a": 1, "b": {"c": 3}}]
    made = lineal("sweep", "create", "sweep.yaml", "--name", "mine", "--json").json
    assert (made["name"], made["state"]) == ("mine", "pending")
    project = lineal("project", "ls", "--json").json[0]
    moments = [made["created_at"], shown["trials"][0]["ended_at"], project["created_at"]]
    assert all(moment.endswith("+00:00") for moment in moments), moments


def test_a_run_names_the_sweep_it_is_a_trial_of(lineal):
    sweep_id = sdk.sweep({"method": "grid", "parameters": {"a": {"values": [1]}}}, project="p")
    sdk.agent(sweep_id, lambda: sdk.init().finish())
    run = lineal("run", "ls", "p", "--json").json[0]
    assert run["sweep"] == sweep_id
    assert ["sweep", sweep_id] in [
        line.split() for line in lineal("run", "show", run["path"]).lines
    ]


def test_a_sweep_that_is_over_says_what_to_do_instead_of_going_on(lineal, path):
    lineal("sweep", "cancel", path)
    answer = lineal("sweep", "resume", path, fails=True)
    assert (answer.code, "`lineal sweep FILE --prior-run RUN`" in answer.err) == (5, True)


@pytest.mark.parametrize("spelling", ["verb", "flag"])
def test_states_are_changed_by_verb_and_by_flag(lineal, path, spelling):
    for verb, state in (("pause", "paused"), ("resume", "running"), ("stop", "stopped")):
        words = ("sweep", verb, path) if spelling == "verb" else ("sweep", f"--{verb}", path)
        assert f"is {state}" in lineal(*words).err
    lineal("sweep", "cancel", path)
    answer = lineal("sweep", "resume", path, fails=True)
    assert (answer.code, "cancelled" in answer.err) == (5, True)
    assert lineal("agent", path).code == 0


def test_a_flag_of_state_minds_the_other_options(lineal):
    Path("sweep.yaml").write_text(FILE)
    path = lineal("sweep", "sweep.yaml", "-e", "team", "-p", "beta").out.strip()
    sweep_id = path.rpartition("/")[2]
    assert lineal("sweep", "--stop", "-e", "team", "-p", "other", sweep_id, fails=True).code == 4
    shown = lineal("sweep", "--stop", "-e", "team", "-p", "beta", sweep_id, "--json").json
    assert (shown["path"], shown["state"]) == (path, "stopped")
    for more in (("--name", "x"), ("-R", "abc"), ("--update", path)):
        answer = lineal("sweep", "--resume", path, *more, fails=True)
        assert (answer.code, "nothing else" in answer.err) == (2, True)
    assert lineal("sweep", "show", path, "--json").json["state"] == "stopped"


def test_a_prior_run_is_one_of_the_project_that_is_there(lineal):
    Path("sweep.yaml").write_text(FILE)
    ids = []
    for project in ("p", "p", "other"):
        with sdk.init(project=project, config={"a": 1, "b": {"c": 3}}) as run:
            run.log({"loss": 1})
        ids.append(run.id)
    first, gone, elsewhere = ids
    sdk.Api().run(f"p/{gone}").delete()
    path = lineal("sweep", "sweep.yaml", "-R", first, "-R", f"ana/p/runs/{first}").out.strip()
    trials = lineal("sweep", "show", path, "--json").json["trials"]
    assert [trial["run"] for trial in trials] == [first]
    for run, code, said in (
        (f"{first}x", 4, f"did you mean {first}"),
        (gone, 4, "lineal run restore"),
        (f"other/{elsewhere}", 2, f"Run ana/other/{elsewhere} cannot inform a sweep of ana/p"),
        (f"other/{first}", 2, "its own project"),
    ):
        answer = lineal("sweep", "sweep.yaml", "-R", run, fails=True)
        assert (answer.code, said in answer.err) == (code, True), answer.err
    assert len(lineal("sweep", "ls", "--json").json) == 1


def test_a_sweep_without_trials_takes_another_file(lineal, path):
    Path("other.yaml").write_text(FILE.replace("[1, 2]", "[7]") + "name: other\n")
    assert lineal("sweep", "--update", path, "other.yaml").out.strip() == path
    lineal("agent", path)
    shown = lineal("sweep", "show", path, "--json").json
    assert (shown["name"], shown["trials"][0]["parameters"]["a"]) == ("other", 7)
    answer = lineal("sweep", "sweep.yaml", "--update", path, fails=True)
    assert (answer.code, "has trials already" in answer.err) == (5, True)


def test_a_search_begun_before_a_sweep_was_changed_is_not_gone_on_with(lineal):
    Path("sweep.yaml").write_text(FILE.replace("grid", "random") + "run_cap: 1\n")
    path = lineal("sweep", "sweep.yaml").out.strip()
    assert sdk.controller(path).search()["a"] in (1, 2)
    Path("other.yaml").write_text(FILE.replace("grid", "random").replace("[1, 2]", "[7, 8]"))
    lineal("sweep", "other.yaml", "--update", path)
    assert sdk.controller(path).search()["a"] in (7, 8)


def test_every_mistake_in_a_file_is_named(lineal):
    Path("bad.yaml").write_text("metod: grid\nparameters: {a: {vals: [1]}}\n")
    answer = lineal("sweep", "bad.yaml", fails=True)
    assert answer.code == 2
    for part in ("`metod`", "did you mean `method`", "`parameters.a.vals`", "`values`"):
        assert part in answer.err
    assert lineal("sweep", "nowhere.yaml", fails=True).code == 4
    assert "one of" in lineal("sweep", "--stop", "--pause", "x", fails=True).err


@pytest.mark.parametrize(
    ("more", "key", "lines"),
    [
        ("method: random\n", "method", (2, 9)),
        ("early_terminate: {type: hyperband,\n  eta: 2, eta: 3}\n", "eta", (10, 10)),
    ],
)
def test_a_key_that_is_there_twice_is_refused(lineal, more, key, lines):
    Path("sweep.yaml").write_text(FILE + more)
    answer = lineal("sweep", "sweep.yaml", fails=True)
    assert answer.code == 2
    assert f"the key `{key}` twice, in line {lines[0]} and in line {lines[1]}" in answer.err


def test_a_key_may_take_the_place_of_one_that_is_merged_in(lineal):
    Path("sweep.yaml").write_text(
        "method: grid\nparameters:\n  a: &a {values: [1, 2]}\n  b: {<<: *a, <<: {}, values: [3]}\n"
    )
    path = lineal("sweep", "sweep.yaml", "-p", "p").out.strip()
    assert lineal("sweep", "show", path, "--json").json["config"]["parameters"]["b"] == {
        "values": [3]
    }


def test_what_is_no_file_is_told_apart_from_a_command_misspelt(lineal, path):
    answer = lineal("sweep", "shwo", path, fails=True)
    assert (answer.code, "did you mean `lineal sweep show`?" in answer.err) == (2, True)
    answer = lineal("sweep", path, fails=True)
    assert (answer.code, "`lineal sweep show SWEEP`" in answer.err) == (4, True)
    Path("show").write_text(FILE)  # a file of that name is still one to `create`
    assert lineal("sweep", "create", "show").out


def test_a_file_that_cannot_be_read_is_named(lineal, tmp_path):
    Path("latin.yaml").write_bytes("method: grid # für\n".encode("latin-1"))
    answer = lineal("sweep", "latin.yaml", fails=True)
    assert (answer.code, "latin.yaml is not UTF-8" in answer.err) == (2, True)
    Path("deep.yaml").write_text("a: " + "[" * 100_000)
    answer = lineal("sweep", "deep.yaml", fails=True)
    assert (answer.code, "deep.yaml is nested too deep" in answer.err) == (2, True)
    answer = lineal("sweep", str(tmp_path), fails=True)
    assert (answer.code, "is a folder" in answer.err) == (4, True)


@pytest.mark.parametrize(("name", "meant"), [("off", "false"), ("yes", "true"), ("~", "null")])
def test_a_name_that_yaml_takes_for_something_else_is_refused(lineal, path, name, meant):
    Path("sweep.yaml").write_text(f"method: grid\nparameters: {{{name}: {{values: [1, 2]}}}}\n")
    for more in ([], ["--update", path]):
        said = lineal("sweep", "sweep.yaml", *more, fails=True).err
        assert f"has a name that YAML takes for {meant}; put it in quotes" in said


def test_a_date_in_a_file_is_a_text_also_when_a_sweep_is_changed(lineal, path):
    Path("sweep.yaml").write_text("method: grid\nparameters: {a: {values: [2024-01-31]}}\n")
    lineal("sweep", "sweep.yaml", "--update", path)
    document = lineal("sweep", "show", path, "--json").json["config"]
    assert document["parameters"]["a"]["values"] == ["2024-01-31"]


def test_the_page_is_one_file_with_everything_in_it(lineal):
    document = FILE.replace("values: [1, 2]", "min: 0.0, max: 1.0").replace("grid", "random")
    script = (
        "import lineal, html; r = lineal.init(name='<b>&'); r.log({'loss': r.config.a}); r.finish()"
    )
    command = json.dumps(["${interpreter}", "-c", script])
    document = re.sub(r"command: .*", lambda _: f"command: {command}", document)
    Path("sweep.yaml").write_text(document + "run_cap: 8\nname: <i>\n")
    path = lineal("sweep", "sweep.yaml").out.strip()
    lineal("agent", path)
    lineal("sweep", "show", path, "--html", "page.html")
    page = Path("page.html").read_text()
    assert page.count("<svg") == 3
    assert page.count("<tr") == 9
    assert "&lt;b&gt;&amp;" in page
    assert "<i>" not in page
    assert "http" not in page
    assert not re.search(r"(src|href)=", page)
    assert set(lineal("sweep", "show", path, "--json").json["importance"]) == {"a"}


def test_the_page_shows_choices_that_are_null_or_mappings(lineal):
    choices = [None, 5, {"deep": 2}]
    document = {
        "method": "grid", "metric": {"name": "loss"}, "parameters": {"depth": {"values": choices}},
    }  # fmt: skip
    sweep_id = sdk.sweep(document, project="p")

    def train():
        with sdk.init() as run:
            run.log({"loss": choices.index(run.config["depth"])})

    sdk.agent(sweep_id, train)
    lineal("sweep", "show", f"p/{sweep_id}", "--html", "sweep.html")
    page = html.unescape(Path("sweep.html").read_text())
    for text in ("None", "5", "{'deep': 2}"):
        assert f"<td>{text}</td>" in page
        assert f">{text}</text>" in page


def test_the_page_has_room_for_any_numbers(lineal):
    losses = [-1e308, 0.0, 1e308]
    document = {
        "method": "grid", "metric": {"name": "loss"}, "parameters": {"n": {"values": [0, 1, 2]}},
    }  # fmt: skip
    sweep_id = sdk.sweep(document, project="p")

    def train():
        with sdk.init() as run:
            run.log({"loss": losses[run.config["n"]]})

    sdk.agent(sweep_id, train)
    lineal("sweep", "show", f"p/{sweep_id}", "--html", "sweep.html")
    page = Path("sweep.html").read_text()
    assert "nan" not in page
    for height in ("292.0", "160.0", "28.0"):
        assert f'points="56.0,{height} 904.0,{height}"' in page


def test_names_too_long_for_the_page_are_cut_where_they_agree(lineal):
    names = [f"optimizer_of_the_generator_{index}" for index in range(20)]
    values = "".join(f"  {name}: {{min: 0.0, max: 1.0}}\n" for name in names)
    command = json.dumps(
        ["${interpreter}", "-c", "import lineal; lineal.init().log({'loss': 1.0})"]
    )
    Path("sweep.yaml").write_text(
        f"method: random\nmetric: {{name: loss}}\ncommand: {command}\nrun_cap: 1\n"
        f"parameters:\n{values}"
    )
    path = lineal("sweep", "sweep.yaml").out.strip()
    lineal("agent", path)
    lineal("sweep", "show", path, "--html", "page.html")
    page = Path("page.html").read_text()
    for index, name in enumerate(names):
        assert re.search(rf"<title>{name}</title>…\w*_{index}</text>", page)
        assert f">{name}</text>" not in page


def test_choices_on_the_page_are_text_that_turns_nothing_around_and_never_crowds(lineal):
    choices = ["\u202eevil", "<b>", *(f"choice {number}" for number in range(60))]
    document = {
        "method": "grid", "metric": {"name": "loss"}, "parameters": {"pick": {"values": choices}},
    }  # fmt: skip
    sweep_id = sdk.sweep(document, project="p")

    def train():
        with sdk.init() as run:
            run.log({"loss": 1.0})

    sdk.agent(sweep_id, train)
    lineal("sweep", "show", f"p/{sweep_id}", "--html", "sweep.html")
    page = Path("sweep.html").read_text()
    assert "\u202e" not in page
    assert "<td>\N{REPLACEMENT CHARACTER}evil</td>" in page
    assert "<td>&lt;b&gt;</td>" in page
    beside_the_axis = re.findall(
        r"<text [^>]*>(?:<title>[^<]*</title>)?[^<]*choice \d+</text>", page
    )
    assert 5 <= len(beside_the_axis) <= 20


def test_a_controller_watches_until_the_end(lineal, path):
    lineal("agent", path)
    assert "2 finished" in lineal("controller", path).err
    lineal("sweep", "stop", lineal("sweep", "sweep.yaml").out.strip())
    assert lineal("controller", "ana/p/nothing", fails=True).code == 4
    assert "Nothing is at nope.yaml" in lineal("controller", "nope.yaml", fails=True).err


def test_a_page_into_a_folder_that_is_not_there_names_it(lineal, path):
    answer = lineal("sweep", "show", path, "--html", "nowhere/page.html", fails=True)
    assert answer.code == 4
    assert f"No folder {os.path.abspath('nowhere')}" in answer.err
    assert ". is a folder" in lineal("sweep", "show", path, "--html", ".", fails=True).err


def test_a_page_of_a_sweep_without_results_says_so(lineal, path):
    lineal("sweep", "show", path, "--html", "page.html")
    assert "No results yet" in Path("page.html").read_text()
