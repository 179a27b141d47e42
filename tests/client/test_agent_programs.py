"""Agents carry out trials of programs: joined by them, terminated with them, told how to start."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import pytest
from tests.client.sweeping import RANDOM, make, trials

import lineal
from lineal.client.sweep import command
from lineal.client.sweep import program as program_module
from lineal.core.trials import TrialState
from lineal.errors import Invalid

PROGRAM = """
import sys, lineal
with lineal.init(config={"x": 5, "own": 1}) as run:
    assert f"--x={run.config.x}" in sys.argv, sys.argv
    assert run.config["net"] == {"k": 3} and run.config.own == 1
    run.log({"loss": run.config.x})
"""


def test_a_program_joins_its_trial(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(PROGRAM)
    path = make(RANDOM | {"program": str(tmp_path / "train.py"), "run_cap": 2})
    lineal.agent(path)
    sweep = lineal.Api().sweep(path)
    assert [trial.state for trial in trials(path)] == ["finished", "finished"]
    assert sweep.best_run().summary["loss"] == min(run.config["x"] for run in sweep.runs)


def test_a_program_gets_numbers_as_numbers_and_texts_as_texts(tmp_path: Path) -> None:
    program = tmp_path / "train.py"
    program.write_text(
        "import lineal\nwith lineal.init() as run: run.summary['x'] = run.config.x\n"
    )
    values = {"values": [1e-5, "1e-5", 3, "3"]}
    path = make({"method": "grid", "program": str(program), "parameters": {"x": values}})
    lineal.agent(path)
    found = [run.summary["x"] for run in lineal.Api().sweep(path).runs]
    assert sorted(map(repr, found)) == sorted(map(repr, values["values"]))


def test_a_program_in_another_language_is_a_trial_too(tmp_path: Path) -> None:
    out = tmp_path / "out"
    script = f'echo "$0 $WANDB_SWEEP_ID $WANDB_RUN_ID" >> {out}; cat "$1" >> {out}; exit 3'
    document = {
        "method": "grid",
        "command": ["bash", "-c", script, "lr is ${lr}", "${args_json_file}"],
        "parameters": {"lr": {"values": [1, 2]}},
    }
    path = make(document)
    lineal.agent(path)
    said = out.read_text()
    assert "lr is 1 " in said
    assert '{"lr": 2}' in said
    assert [trial.state for trial in trials(path)] == ["failed", "failed"]


def test_an_agent_goes_on_when_a_program_deletes_its_run(tmp_path: Path) -> None:
    program = tmp_path / "train.py"
    program.write_text(
        "import lineal\nwith lineal.init() as run: pass\nlineal.Api().run(run.path).delete()\n"
    )
    path = make(
        {"method": "grid", "program": str(program), "parameters": {"x": {"values": [1, 2]}}}
    )
    lineal.agent(path)
    assert [trial.state for trial in trials(path)] == ["finished", "finished"]


def kill_amid_trial(path: str, began: Path) -> None:
    """Kill an agent once its program has made a file."""
    lost = subprocess.Popen([sys.executable, "-c", f"import lineal; lineal.agent({path!r})"])
    while not began.exists():
        time.sleep(0.05)
    lost.kill()
    lost.wait()


def test_a_killed_agents_trial_is_handed_out_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LINEAL_TRIAL_LEASE_SECONDS", "1")
    marker = tmp_path / "began"
    script = f"echo x >> {marker}; [ $(wc -l < {marker}) -gt 1 ] || sleep 20"
    document = {
        "method": "grid",
        "command": ["bash", "-c", script],
        "parameters": {"n": {"values": [1]}},
    }
    path = make(document)
    kill_amid_trial(path, marker)
    lineal.agent(path)
    (trial,) = trials(path)
    assert (trial.state, trial.attempt) == (TrialState.FINISHED, 2)


def test_a_killed_agents_folder_goes_once_its_program_has_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LINEAL_TRIAL_LEASE_SECONDS", "1")
    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    began, later, read = (tmp_path / name for name in ("began", "later", "read"))
    script = (
        f"[ -e {began} ] && exit; touch {began}; "
        f'until [ -e {later} ]; do sleep 0.05; done; cp "$LINEAL_SWEEP_PARAM_PATH" {read}'
    )
    document = {
        "method": "grid",
        "command": ["bash", "-c", script],
        "parameters": {"n": {"values": [1]}},
    }
    path = make(document)
    kill_amid_trial(path, began)
    lineal.agent(path)
    assert len(list(tmp_path.glob("lineal-trial-*"))) == 1
    later.touch()
    until = time.monotonic() + 60
    while list(tmp_path.glob("lineal-trial-*")) and time.monotonic() < until:
        lineal.agent(make(document))
    assert not list(tmp_path.glob("lineal-trial-*"))
    assert read.read_text() == "n:\n  value: 1\n"


def test_a_cancelled_program_is_terminated(tmp_path: Path) -> None:
    marker = tmp_path / "began"
    document = {
        "method": "grid",
        "command": ["bash", "-c", f"touch {marker}; sleep 60"],
        "parameters": {"n": {"values": [1]}},
    }
    path = make(document)
    working = subprocess.Popen([sys.executable, "-c", f"import lineal; lineal.agent({path!r})"])
    while not marker.exists():
        time.sleep(0.05)
    lineal.Api().sweep(path).cancel()
    assert working.wait(30) == 0
    assert [trial.state for trial in trials(path)] == ["cancelled"]


EARLY: dict[str, Any] = {
    "method": "grid",
    "metric": {"name": "loss"},
    "early_terminate": {"type": "hyperband", "min_iter": 2},
    "parameters": {"x": {"values": [1, 1, 1, 9]}},
}


def test_a_program_that_is_stopped_early_has_time_for_its_last_words(tmp_path: Path) -> None:
    program, saved = tmp_path / "train.py", tmp_path / "saved"
    program.write_text(
        "import pathlib, time, lineal\n"
        "with lineal.init() as run:\n"
        "    try:\n"
        "        for _ in range(3):\n"
        "            run.log({'loss': run.config.x})\n"
        "    except lineal.errors.TrialStopped:\n"
        "        time.sleep(2.5)\n"  # two beats of the agent
        f"        pathlib.Path({str(saved)!r}).touch()\n"
        "        raise\n"
    )
    path = make(EARLY | {"program": str(program)})
    lineal.agent(path)
    assert saved.exists()
    assert [trial.state for trial in trials(path)] == ["finished"] * 3 + ["stopped"]


def test_a_program_that_does_not_hear_that_it_is_stopped_is_ended(
    tmp_path: Path, monkeypatch
) -> None:
    monkeypatch.setattr(program_module, "GRACE_SECONDS", 0.5)
    program = tmp_path / "train.py"
    program.write_text(
        "import time, lineal\n"
        "run = lineal.init()\n"
        "try:\n"
        "    for _ in range(3):\n"
        "        run.log({'loss': run.config.x})\n"
        "except lineal.errors.TrialStopped:\n"
        "    time.sleep(60)\n"
    )
    path = make(EARLY | {"program": str(program)})
    lineal.agent(path)
    assert [trial.state for trial in trials(path)] == ["finished"] * 3 + ["stopped"]


def test_a_program_that_is_stopped_early_ends_without_a_traceback(tmp_path: Path, capfd) -> None:
    program = tmp_path / "train.py"
    program.write_text(
        "import lineal\n"
        "with lineal.init() as run:\n"
        "    for _ in range(3):\n"
        "        run.log({'loss': run.config.x})\n"
    )
    path = make(EARLY | {"program": str(program)})
    lineal.agent(path)
    assert [trial.state for trial in trials(path)] == ["finished"] * 3 + ["stopped"]
    said = capfd.readouterr().err
    assert f"lineal: Trial 3 of sweep ana/{path} ends here: others do better\n" in said
    assert "Traceback" not in said


def test_what_a_cancelled_program_started_gets_time_and_is_ended_too(tmp_path: Path) -> None:
    """Its shell ends at once, and what that runs has a checkpoint to write, or never ends."""
    began, saved = tmp_path / "began", tmp_path / "saved"
    inner = (
        "import pathlib, signal, time\n"
        "signal.signal(signal.SIGTERM, lambda *_: None)\n"
        f"pathlib.Path({str(began)!r}).touch()\n"
        "signal.pause()\n"
        "time.sleep(0.7)\n"
        f"pathlib.Path({str(saved)!r}).touch()\n"
        "{then}\n"
    )
    for then in ("pass", "time.sleep(60)"):
        (tmp_path / "inner.py").write_text(inner.replace("{then}", then))
        document = {
            "method": "grid",
            "command": ["bash", "-c", f"{sys.executable} {tmp_path}/inner.py; true"],
            "parameters": {"n": {"values": [1]}},
        }
        path = make(document)
        script = (
            "import lineal\nfrom lineal.client.sweep import program\n"
            f"program.GRACE_SECONDS = 2.0\nlineal.agent({path!r})\n"
        )
        working = subprocess.Popen([sys.executable, "-c", script])
        while not began.exists():
            assert working.poll() is None
            time.sleep(0.05)
        lineal.Api().sweep(path).cancel()
        assert working.wait(30) == 0
        assert saved.exists()
        left = subprocess.run(["pgrep", "-f", f"{tmp_path}/inner.py"], capture_output=True)
        assert left.stdout == b""
        began.unlink()
        saved.unlink()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_that_ends_the_agent_ends_its_program(number: int, tmp_path: Path) -> None:
    began, ended = tmp_path / "began", tmp_path / "ended"
    document = {
        "method": "grid",
        "command": [
            "bash", "-c", f"trap 'touch {ended}; exit' TERM; touch {began}; sleep 30 & wait",
        ],
        "parameters": {"n": {"values": [1]}},
    }  # fmt: skip
    path = make(document)
    working = subprocess.Popen([sys.executable, "-c", f"import lineal; lineal.agent({path!r})"])
    while not began.exists():
        time.sleep(0.05)
    working.send_signal(number)
    assert working.wait(30) == -number
    until = time.monotonic() + 10
    while not ended.exists() and time.monotonic() < until:
        time.sleep(0.05)
    assert ended.exists()
    assert [trial.state for trial in trials(path)] == ["running"]  # until its lease ends


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize(
    ("handler", "state"),
    [
        ("exit 0", TrialState.FINISHED),
        ("exit 1", TrialState.FAILED),
        ("exit $((128 + $0))", TrialState.QUEUED),  # as shells say that the signal ended it
        ("trap - $0; kill -$0 $$", TrialState.QUEUED),
    ],
)
def test_an_agent_that_passes_signals_on_ends_after_its_program(
    number: int, handler: str, state: TrialState, tmp_path: Path
) -> None:
    began = tmp_path / "began"
    script = f"trap 'sleep 0.3; {handler}' $0; touch {began}; while true; do sleep 0.1; done"
    document = {
        "method": "grid",
        "command": ["bash", "-c", script, str(int(number))],
        "parameters": {"n": {"values": [1, 2]}},
    }
    path = make(document)
    code = f"import lineal; lineal.agent({path!r}, forward_signals=True)"
    working = subprocess.Popen([sys.executable, "-c", code])
    while not began.exists():
        assert working.poll() is None
        time.sleep(0.05)
    working.send_signal(number)
    assert working.wait(30) == -number
    assert [trial.state for trial in trials(path)] == [state]


def test_a_program_that_ignores_a_signal_passed_on_is_killed_in_time(tmp_path: Path) -> None:
    began = tmp_path / "began"
    document = {
        "method": "grid",
        "command": ["bash", "-c", f"trap '' TERM; touch {began}; while true; do sleep 0.1; done"],
        "parameters": {"n": {"values": [1, 2]}},
    }
    path = make(document)
    code = f"import lineal; lineal.agent({path!r}, forward_signals=True, term_timeout=0.5)"
    working = subprocess.Popen([sys.executable, "-c", code])
    while not began.exists():
        assert working.poll() is None
        time.sleep(0.05)
    working.send_signal(signal.SIGTERM)
    assert working.wait(30) == -signal.SIGTERM
    assert [trial.state for trial in trials(path)] == [TrialState.QUEUED]


def test_what_a_program_logged_before_it_was_killed_is_its_result(tmp_path: Path) -> None:
    program = tmp_path / "train.py"
    program.write_text(
        "import os, signal, time, lineal\n"
        "run = lineal.init()\n"
        "run.log({'loss': 3})\n"
        "time.sleep(1.5)\n"
        "run.log({'loss': 2})\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    path = make(RANDOM | {"program": str(program), "run_cap": 1})
    lineal.agent(path)
    (trial,) = trials(path)
    assert (trial.state, trial.value) == (TrialState.FAILED, 2)
    (run,) = lineal.Api().sweep(path).runs
    assert (run.state, run.exit_code, run.summary["loss"]) == ("failed", -9, 2)
    assert run.duration >= 1.5


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_while_a_program_is_being_started_ends_it_too(number: int, tmp_path: Path) -> None:
    ended = tmp_path / "ended"
    document = {
        "method": "grid",
        "command": ["bash", "-c", f"trap 'touch {ended}; exit' TERM; sleep 30 & wait"],
        "parameters": {"n": {"values": [1]}},
    }
    path = make(document)
    code = (
        "import os, signal, subprocess, time, lineal\n"
        "class Popen(subprocess.Popen):\n"
        "    def __init__(self, *arguments, **options):\n"
        "        super().__init__(*arguments, **options)\n"
        "        if options.get('start_new_session'):\n"
        "            time.sleep(0.5)\n"  # until bash knows what to do with the signal
        f"            os.kill(os.getpid(), {int(number)})\n"
        "subprocess.Popen = Popen\n"
        f"lineal.agent({path!r})\n"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == -number
    until = time.monotonic() + 10
    while not ended.exists() and time.monotonic() < until:
        time.sleep(0.05)
    assert ended.exists()


def test_ctrl_c_ends_the_run_of_the_agents_program(tmp_path: Path) -> None:
    program, began = tmp_path / "train.py", tmp_path / "began"
    program.write_text(
        "import time, pathlib, lineal\n"
        "lineal.init().log({'loss': 1})\n"
        f"pathlib.Path({str(began)!r}).touch()\n"
        "time.sleep(60)\n"
    )
    path = make(RANDOM | {"program": str(program)})
    working = subprocess.Popen([sys.executable, "-c", f"import lineal; lineal.agent({path!r})"])
    while not began.exists():
        time.sleep(0.05)
    working.send_signal(signal.SIGINT)
    assert working.wait(30) != 0
    assert [trial.state for trial in trials(path)] == [TrialState.QUEUED]
    runs = lineal.Api().sweep(path).runs
    assert [(run.state, run.exit_code) for run in runs] == [("failed", 255)]


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        ("${args}", ["--lr=0.1", "--flag=True", "--off=False", "--net.k=3", "--l=[1, 2]"]),
        ("${args_no_hyphens}", ["lr=0.1", "flag=True", "off=False", "net.k=3", "l=[1, 2]"]),
        ("${args_no_boolean_flags}", ["--lr=0.1", "--flag", "--net.k=3", "--l=[1, 2]"]),
        ("${interpreter}", [sys.executable]),
        ("${program}", ["train.py"]),
        ("x-${lr}-${net.k}", ["x-0.1-3"]),
        ("${envvar:SOME_VARIABLE}/x", ["here/x"]),
        ("plain", ["plain"]),
    ],
)
def test_macros_of_the_command(part: str, expected: list[str], monkeypatch, tmp_path) -> None:
    monkeypatch.setenv("SOME_VARIABLE", "here")
    parameters = {"lr": 0.1, "flag": True, "off": False, "net": {"k": 3}, "l": [1, 2]}
    document = {"program": "train.py", "command": [part]}
    assert command.build(document, parameters, str(tmp_path)) == expected


def test_json_macros_and_mistakes(tmp_path: Path) -> None:
    document = {"command": ["${args_json}", "${args_json_file}"]}
    text, file = command.build(document, {"a": 1}, str(tmp_path))
    assert json.loads(text) == json.loads(Path(file).read_text()) == {"a": 1}
    with pytest.raises(Invalid, match=r"\$\{lrr\} in the sweep's command is not known"):
        command.build({"command": ["${lrr}"]}, {"lr": 1}, str(tmp_path))
    with pytest.raises(Invalid, match="no `program`"):
        command.build({"command": ["${program}"]}, {}, str(tmp_path))
