"""Who imports Lineal as `wandb`: those who ask for it, and the processes they start."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import pytest

from lineal.client.capture import requirements
from lineal.wandb_package.path import FOLDER, first_on
from tests.wandb_package.conftest import SOURCES, Start

WHICH = "import wandb; print(wandb.__version__, getattr(wandb, 'Artifact', None))"


@pytest.fixture
def installed(tmp_path: Path) -> str:
    """A folder on the path with another package of that name, as W&B's is."""
    folder = tmp_path / "site"
    (folder / "wandb").mkdir(parents=True)
    (folder / "wandb" / "__init__.py").write_text("__version__ = '0.1'\n")
    (folder / "wandb-0.1.dist-info").mkdir()
    (folder / "wandb-0.1.dist-info" / "METADATA").write_text("Name: wandb\nVersion: 0.1\n")
    return f"{SOURCES}{os.pathsep}{folder}"


def test_nobody_sees_it_who_did_not_ask(start: Start) -> None:
    program = (
        "import importlib.metadata as metadata, importlib.util as util\n"
        "import lineal, lineal.wandb_package.path\n"
        "assert not any(each.name == 'wandb' and 'lineal' in str(each._path)\n"
        "               for each in metadata.distributions())\n"
        "found = util.find_spec('wandb')\n"
        "assert found is None or 'lineal' not in found.origin\n"
    )
    start("-c", program)


def test_beside_another_the_one_asked_for_is_imported(start: Start, installed: str) -> None:
    told = "import importlib.metadata as m; print(m.version('wandb'))\n"
    not_asked = start("-c", told + WHICH, PYTHONPATH=installed)
    assert not_asked.stdout.split() == ["0.1", "0.1", "None"]
    asked = start("-c", f"import lineal; lineal.as_wandb()\n{told}{WHICH}", PYTHONPATH=installed)
    assert "lineal.client.artifact" in asked.stdout
    assert "0.1\n" not in asked.stdout


def test_one_that_was_imported_already_is_refused(start: Start, installed: str) -> None:
    program = "import wandb, lineal; lineal.as_wandb()"
    refused = start("-c", program, PYTHONPATH=installed, code=1)
    assert "UsageError: `wandb` was imported already, from " in refused.stderr
    assert "site/wandb/__init__.py; call `lineal.as_wandb()` before" in refused.stderr


def test_a_python_without_lineal_says_what_to_install(start: Start) -> None:
    """`lineal` may have been installed as a program of its own."""
    done = start("-S", "-c", "import wandb", PYTHONPATH=FOLDER, code=1)
    assert f"does not have: {sys.executable} -m pip install lineal" in done.stderr


def test_a_second_call_changes_nothing(start: Start) -> None:
    program = (
        "import lineal, os, sys\n"
        "lineal.as_wandb()\n"
        "before = list(sys.path), dict(os.environ)\n"
        "import wandb\n"
        "lineal.as_wandb()\n"
        "assert before == (sys.path, dict(os.environ)) and sys.path.count(sys.path[0]) == 1\n"
    )
    start("-c", program)


@pytest.mark.parametrize("method", ["spawn", "fork", "forkserver"])
def test_worker_processes_import_it_too(start: Start, tmp_path: Path, method: str) -> None:
    program = tmp_path / "program.py"
    program.write_text(
        "import lineal, multiprocessing\n"
        "def which(_):\n"
        "    import wandb\n"
        "    return wandb.Artifact.__module__\n"
        "if __name__ == '__main__':\n"
        "    lineal.as_wandb()\n"
        f"    with multiprocessing.get_context('{method}').Pool(1) as pool:\n"
        "        print(*pool.map(which, range(1)))\n"
    )
    assert start(str(program)).stdout == "lineal.client.artifact.artifact\n"


def test_programs_that_it_starts_import_it_too(start: Start) -> None:
    program = (
        "import lineal, subprocess, sys\n"
        "lineal.as_wandb()\n"
        f"subprocess.run([sys.executable, '-c', {WHICH!r}], check=True)\n"
    )
    assert "lineal.client.artifact" in start("-c", program).stdout


def test_other_folders_keep_their_place_on_the_path() -> None:
    assert first_on("", "/c") == "/c"
    assert first_on("/a:/b", "/c") == "/c:/a:/b"
    assert first_on("/a:/c:/b", "/c") == "/c:/a:/b"


def test_it_is_no_installed_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [FOLDER])
    assert requirements.installed() == []


def test_a_process_goes_on_with_the_run_of_another(as_wandb: Start) -> None:
    """Lightning does so where it spawns processes."""
    program = (
        "import subprocess, sys, wandb\n"
        "with wandb.init(project='p') as run:\n"
        "    child = f'import wandb; wandb._attach({run._attach_id!r}).log({{\"loss\": 1.0}})'\n"
        "    subprocess.run([sys.executable, '-c', child], check=True)\n"
        "print(wandb.Api().run(run.path).summary['loss'], len(wandb.Api().runs('p')))\n"
    )
    assert as_wandb(program).stdout == "1.0 1\n"


# --- the command `wandb` ------------------------------------------------------------------------

PUT = "wandb artifact put -n p/data data && wandb artifact get p/data --root out"


def test_scripts_that_it_starts_find_the_command(start: Start) -> None:
    Path("data").write_text("x")
    start("-m", "lineal", "as-wandb", "sh", "-c", PUT)
    assert Path("out/data").read_text() == "x"
    program = f"import lineal, os; lineal.as_wandb(); assert os.system({PUT!r}) == 0"
    start("-c", program)


def test_its_words_are_those_of_the_command_line(start: Start) -> None:
    for command in (["wandb"], [sys.executable, "-m", "wandb"]):
        wrong = start("-m", "lineal", "as-wandb", *command, "nope", code=2)
        assert wrong.stderr == "error: No such command 'nope'\nTry `wandb --help`\n"


@pytest.mark.parametrize(
    "take",
    ["sed -n 's/.*wandb agent //p'", "awk '/sweep with ID: /{print $NF}'", "awk 'END{print $NF}'"],
)
def test_scripts_find_the_sweep_in_what_is_said_of_it(start: Start, take: str) -> None:
    Path("sweep.yaml").write_text(
        "project: p\nmethod: grid\nparameters: {a: {value: 1}}\ncommand: [echo, done]\n"
    )
    script = f"wandb agent -p p $(wandb sweep sweep.yaml 2>&1 | {take})"
    assert "done" in start("-m", "lineal", "as-wandb", "sh", "-c", script).stdout


def test_a_folder_of_runs_here_is_not_taken_for_the_package(start: Start) -> None:
    Path("wandb").mkdir()
    Path("wandb/cli.py").write_text("raise SystemExit('this one')")
    start("-m", "lineal", "as-wandb", "wandb", "status")


def test_wandbs_own_command_runs_it_where_that_is_first(as_wandb: Start) -> None:
    """As in an environment that the script activates."""
    program = (
        "import sys; from wandb.cli.cli import cli; sys.argv[1:] = ['status']; sys.exit(cli())"
    )
    assert "home" in as_wandb(program).stdout


# --- `lineal as-wandb` ----------------------------------------------------------------------------


def test_the_command_has_its_own_options_and_exit_code(start: Start) -> None:
    program = "import sys, wandb; print(sys.argv[1:]); sys.exit(wandb.__version__ == '' or 7)"
    done = start("-m", "lineal", "as-wandb", sys.executable, "-c", program, "--help", "-x", code=7)
    assert done.stdout == "['--help', '-x']\n"


def test_a_signal_ends_the_command_itself(start: Start) -> None:
    program = "import os, signal; os.kill(os.getpid(), signal.SIGTERM)"
    start("-m", "lineal", "as-wandb", sys.executable, "-c", program, code=-signal.SIGTERM)


def test_the_command_ignores_no_signal_that_it_would_not_by_itself(start: Start) -> None:
    line = next(
        line
        for line in start("-m", "lineal", "as-wandb", "cat", "/proc/self/status").stdout.split("\n")
        if line.startswith("SigIgn")
    )
    ignored = int(line.split()[1], 16)
    assert not ignored & (1 << (signal.SIGPIPE - 1) | 1 << (signal.SIGXFSZ - 1))


def test_a_command_that_is_not_there_is_named(start: Start) -> None:
    done = start("-m", "lineal", "as-wandb", "no-such-command", "--now", code=4)
    assert "There is no command `no-such-command`" in done.stderr


def test_a_script_that_is_given_alone_is_told_how_it_is_started(start: Start) -> None:
    Path("train a.py").touch()
    done = start("-m", "lineal", "as-wandb", "train a.py", "--epochs", "3", code=4)
    assert "`lineal as-wandb python 'train a.py'`" in done.stderr


def test_a_command_that_cannot_be_run_is_named(start: Start, tmp_path: Path) -> None:
    file = tmp_path / "train.py"
    file.write_text("print()")
    done = start("-m", "lineal", "as-wandb", str(file), code=8)
    assert done.stderr == f"error: `{file}` cannot be run: Permission denied\n"


def test_no_command_is_an_error(start: Start) -> None:
    done = start("-m", "lineal", "as-wandb", code=2)
    assert "Missing argument 'COMMAND" in done.stderr
