from __future__ import annotations

import json
import os
import pty
import re
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import lineal as sdk
from lineal.errors import LinealError, NoSpace

SOURCE = str(Path(__file__).parents[2] / "src")


def shell(*words: str, **more) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": SOURCE, **more.pop("env", {})}
    return subprocess.run(
        [sys.executable, "-c", "from lineal.cli import main; main()", *words],
        **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **more},
        text=True,
        env=environment,
    )


def test_an_unknown_command_suggests_the_nearest(lineal):
    answer = lineal("artefact", fails=True)
    assert answer.code == 2
    assert answer.out == ""
    assert "artifact" in answer.err
    assert "lineal --help" in answer.err


def test_ctrl_c_while_the_command_is_loaded_shows_no_traceback(tmp_path):
    (tmp_path / "typer.py").write_text("raise KeyboardInterrupt\n")
    answer = shell("status", env={"PYTHONPATH": f"{tmp_path}{os.pathsep}{SOURCE}"})
    assert (answer.returncode, answer.stdout, answer.stderr) == (130, "", "")


def test_an_unknown_subcommand_suggests_the_nearest(lineal):
    assert "alias" in lineal("artifact", "alais", fails=True).err


def test_an_unknown_option_suggests_the_nearest(lineal):
    assert "--json" in lineal("run", "ls", "--jsno", fails=True).err


@pytest.mark.parametrize("words", [(), ("artifact",), ("run",)])
def test_a_bare_group_prints_its_help(lineal, words):
    assert lineal(*words).out.startswith("Usage: lineal")


def test_errors_are_one_line_without_traceback(lineal):
    answer = lineal("artifact", "show", "nothing/here", fails=True)
    assert answer.code == 4
    assert answer.out == ""
    assert len(answer.err.splitlines()) == 1
    assert answer.err.startswith("error: ")


@pytest.mark.parametrize("digits", [20, 5_000])
@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["artifact", "show", "demo/photos:v{}"], 4),
        (["artifact", "rm", "demo/photos:v{}", "--yes"], 4),
        (["lineage", "demo/photos:v{}"], 4),
        (["deletions", "--restore", "{}"], 2),
    ],
)
def test_a_number_too_large_for_the_database_is_nobodys(lineal, photos, words, code, digits):
    number = "9" * digits
    assert lineal(*(word.format(number) for word in words), fails=True).code == code


def test_debug_shows_the_traceback(lineal, monkeypatch):
    monkeypatch.setenv("LINEAL_DEBUG", "")
    answer = lineal("--debug", "artifact", "show", "nothing/here", fails=True)
    assert "Traceback" in answer.err
    assert answer.err.splitlines()[-1].startswith("error: ")


def test_an_unwritable_home_says_which_variable_to_set(lineal, monkeypatch):
    Path("file").write_text("")
    monkeypatch.setenv("LINEAL_HOME", "file/home")
    answer = lineal("status", fails=True)
    assert answer.code == 8
    assert "LINEAL_HOME" in answer.err


def test_a_setting_that_makes_no_sense_is_an_error(lineal, monkeypatch):
    monkeypatch.setenv("LINEAL_MODE", "onlnie")
    assert lineal("status", fails=True).code == 2


def test_an_entity_that_cannot_be_is_an_error(lineal, monkeypatch):
    monkeypatch.setenv("LINEAL_ENTITY", "bad name/x")
    answer = lineal("run", "ls", fails=True)
    assert answer.code == 2
    assert "'bad name/x'" in answer.err


def test_a_surprise_is_still_one_line(lineal, monkeypatch):
    from lineal.cli import status

    def fall_over() -> None:
        raise RuntimeError("boom")

    monkeypatch.setattr(status, "connect", fall_over)
    answer = lineal("status", fails=True)
    assert answer.code == 1
    assert "RuntimeError: boom" in answer.err
    assert "--debug" in answer.err
    assert "Traceback" not in answer.err


def test_every_error_has_an_exit_code_a_shell_can_tell():
    classes = [LinealError]
    for each in classes:
        classes.extend(each.__subclasses__())
    assert all(1 <= each.exit_code < 126 for each in classes)


def test_a_reader_that_leaves_early_is_no_error(photos):
    script = (
        f"{sys.executable} -c 'from lineal.cli import main; main()' "
        "artifact show demo/photos --json | true; echo ${PIPESTATUS[0]}"
    )
    done = subprocess.run(
        ["bash", "-c", script],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": SOURCE},
    )
    assert done.stderr == ""
    assert done.stdout.strip() in ("0", "141")


def test_help_loads_nothing_slow():
    script = (
        "import sys\nfrom lineal.cli import app\ncode = app.execute(['--help'])\n"
        "heavy = {'sqlalchemy', 'rich', 'yaml', 'numpy', 'sklearn', 'PIL', 'pathspec', 'asyncio'}\n"
        "sys.exit(code or ' '.join(heavy & sys.modules.keys()) or 0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": SOURCE},
    )
    assert done.returncode == 0, done.stderr
    assert "artifact" in done.stdout


def test_exit_codes_reach_the_shell():
    done = shell("artifact", "show", "nothing/here")
    assert done.returncode == 4
    assert done.stdout == ""
    assert done.stderr.startswith("error: ")


def test_a_command_ends_without_looking_through_all_that_it_loaded():
    told = subprocess.run(
        [
            sys.executable,
            "-c",
            "import atexit, gc\n"
            "atexit.register(lambda: print('left', gc.get_freeze_count() > 0))\n"
            "from lineal.cli import main; main()",
            "version",
        ],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": SOURCE},
    )
    assert told.stdout.endswith("left True\n")


def test_the_package_itself_is_the_command():
    told = subprocess.run(
        [sys.executable, "-m", "lineal", "version"],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": SOURCE},
    )
    assert told.stdout == shell("version").stdout


@pytest.mark.parametrize(
    "words",
    [
        ("lineage", "demo/photos"),
        ("artifact", "show", "demo/photos", "--files"),
        ("artifact", "show", "demo/photos", "--json"),
        ("artifact", "diff", "demo/photos:v0", "demo/photos:v1"),
        ("artifact", "get", "demo/photos", "--root", "höhe"),
    ],
    ids=lambda words: words[1],
)
def test_output_that_the_terminal_cannot_show_is_escaped(lineal, photos, words):
    (photos / "größe→.txt").write_text("third\n")
    lineal("artifact", "put", str(photos), "-n", "demo/photos", "-d", "größer → besser")
    told = shell(*words, env={"PYTHONIOENCODING": "ascii"})
    assert told.returncode == 0, told.stderr
    if "--json" in words:
        json.loads(told.stdout)


def in_bash(line: str) -> subprocess.CompletedProcess[str]:
    """Run a line in which `lineal` is the command."""
    command = f'lineal() {{ {sys.executable} -m lineal "$@"; }}; {line}'
    environment = {**os.environ, "PYTHONPATH": SOURCE}
    return subprocess.run(["bash", "-c", command], capture_output=True, text=True, env=environment)


@pytest.mark.parametrize("closed", [">&-", "<&- >&- 2>&-"])
def test_closed_streams_keep_no_command_from_its_work(lineal, photos, closed):
    assert in_bash(f"lineal artifact put photos -n demo/again {closed}").returncode == 0
    assert in_bash(f"lineal run ls demo {closed}").returncode == 0
    assert len(lineal("artifact", "ls", "demo/again", "--json").json) == 1
    assert lineal("verify").code == 0


@pytest.mark.parametrize("words", ["run ls demo", "run ls demo --json", "--help", "run --help"])
def test_a_full_disk_behind_the_output_is_named(photos, words):
    told = in_bash(f"lineal {words} > /dev/full")
    assert told.returncode == NoSpace.exit_code
    assert len(told.stderr.splitlines()) == 1
    assert "standard output" in told.stderr
    assert "No space left" in told.stderr


def test_a_full_disk_behind_the_notes_changes_nothing(photos):
    done = in_bash("lineal artifact put photos -n demo/again 2> /dev/full")
    assert (done.returncode, "demo/again:v0" in done.stdout) == (0, True)
    assert in_bash("lineal artifact show nope 2> /dev/full").returncode == 4


@pytest.mark.parametrize("kind", ["artifact", "run", "sweep", "project"])
def test_an_empty_home_is_named_since_it_may_be_the_wrong_one(lineal, monkeypatch, tmp_path, kind):
    monkeypatch.setenv("LINEAL_HOME", str(tmp_path / "moved away"))
    monkeypatch.delenv("LINEAL_PROJECT", raising=False)
    assert f"No {kind}s in {tmp_path}/moved away yet" in lineal(kind, "ls").err


@pytest.mark.parametrize("kind", ["artifact", "run", "sweep", "project"])
def test_who_is_somebody_else_is_told_who_has_something_here(lineal, photos, monkeypatch, kind):
    monkeypatch.delenv("LINEAL_PROJECT", raising=False)
    monkeypatch.setenv("LINEAL_ENTITY", "cron")
    told = lineal(kind, "ls").err
    assert f"No {kind}s of cron in " in told
    assert "(projects there are of ana; LINEAL_ENTITY says whose are meant)" in told


@pytest.mark.parametrize(
    "words", ["run show 5u3ecmrw", "artifact get p/net", "sweep show p/5u3ecmrw"]
)
def test_who_asks_an_empty_home_for_something_is_told_that_it_is_empty(lineal, words):
    answer = lineal(*words.split(), fails=True)
    assert answer.code == 4
    assert "; this home has no projects yet, `lineal status` says where it is\n" in answer.err
    assert "entity" not in answer.err


def test_an_empty_list_of_one_project_names_it(lineal, photos, monkeypatch):
    assert "No sweeps in ana/demo yet" in lineal("sweep", "ls", "demo").err
    monkeypatch.setenv("LINEAL_PROJECT", "demo")
    assert "No sweeps in ana/demo yet" in lineal("sweep", "ls").err


def test_an_error_with_a_foreign_name_cannot_command_the_terminal(lineal, tmp_path):
    artifact = sdk.Artifact("photos", type="dataset")
    artifact.add_bytes(b"x", "a\x1b]0;title\x07.txt")
    with sdk.init(project="p") as run:
        run.log_artifact(artifact).wait()
    (tmp_path / "empty").mkdir()
    answer = lineal("artifact", "verify", "p/photos", "--root", str(tmp_path / "empty"), fails=True)
    assert r"a\x1b]0;title\x07.txt is missing" in answer.err
    assert "\x1b" not in answer.err


@pytest.mark.parametrize("words", [("artifact", "put", "."), ("init", "--project", "p")])
def test_a_working_directory_that_was_removed_is_named(lineal, monkeypatch, tmp_path, words):
    folder = tmp_path / "gone"
    folder.mkdir()
    monkeypatch.chdir(folder)
    folder.rmdir()
    assert "The working directory of this process is gone" in lineal(*words, fails=True).err


@pytest.mark.parametrize("words", [("artifact", "show"), ("artifact", "get"), ("run", "show")])
def test_a_project_in_the_place_of_a_name_is_told(lineal, photos, words):
    answer = lineal(*words, "demo", fails=True)
    assert answer.code == 4
    assert f"`demo` is a project: `lineal {words[0]} ls demo` lists what is in it" in answer.err
    assert "is a project" not in lineal(*words, "demo/nope", fails=True).err


def test_a_command_that_a_message_suggests_can_be_pasted(lineal):
    with sdk.init(project="Ana's project", id="the first") as run:
        run.log({"loss": 1.0})
    lineal("run", "rm", "Ana's project/the first", "--yes")
    answer = lineal("run", "show", "Ana's project/the first", fails=True)
    (command,) = re.findall("`lineal (run restore .*)`", answer.err)
    lineal(*shlex.split(command))
    lineal("run", "show", "Ana's project/the first")


def test_the_line_that_uses_an_artifact_can_be_pasted(lineal):
    Path("data.csv").write_text("1\n")
    line = lineal("artifact", "put", "data.csv", "-n", 'a "b"/data').out
    with sdk.init(project="demo") as run:
        there: dict[str, sdk.Artifact] = {}
        exec(line, {"run": run}, there)
    assert there["artifact"].name == "data:v0"


def test_what_ends_a_question_without_an_answer_does_not_stand_behind_it(lineal, photos):
    terminal, end = pty.openpty()
    os.write(terminal, b"\x04")
    answer = shell("artifact", "rm", "demo/photos", "--all", stdin=end)
    os.close(terminal)
    os.close(end)
    assert answer.returncode == 1
    assert answer.stderr.splitlines()[-1] == "Nothing was done"


@pytest.mark.parametrize("words", [("artifact", "rm", "demo/photos", "--all"), ("gc",)])
def test_ctrl_c_at_a_question_ends_as_it_does_elsewhere(lineal, photos, monkeypatch, words):
    if words == ("gc",):
        lineal("artifact", "rm", "demo/photos", "--all", "--yes")
        monkeypatch.setenv("LINEAL_UNDO_DAYS", "0")
    terminal, end = pty.openpty()
    command = [sys.executable, "-c", "from lineal.cli import main; main()", *words]
    environment = {**os.environ, "PYTHONPATH": SOURCE}
    with subprocess.Popen(command, stdin=end, stderr=subprocess.PIPE, env=environment) as process:
        told = b""
        while not told.endswith(b"[y/N]:"):
            read = os.read(process.stderr.fileno(), 1000)
            assert read, told
            told += read
        process.send_signal(signal.SIGINT)
        told += process.stderr.read()
    os.close(terminal)
    os.close(end)
    assert process.returncode == 130
    assert told.splitlines()[-1] == b"Nothing was done"


def test_no_name_reaches_a_terminal_as_a_command_to_it(lineal):
    with sdk.init(project="demo", id="a\x1b[31mb"):
        print("\x1b[32mgreen\tprint")
    for words, shown in (
        (("run", "rm", "demo/a\x1b[31mb", "--yes"), "ana/demo/a\\x1b[31mb"),
        (("run", "restore", "demo/a\x1b[31mb"), "ana/demo/a\\x1b[31mb"),
        (("run", "log", "demo/a\x1b[31mb"), "\x1b[32mgreen\tprint"),
    ):
        terminal, end = pty.openpty()
        with os.fdopen(terminal, "rb", buffering=0) as read, os.fdopen(end, "wb") as stdout:
            shell(*words, stdout=stdout)
            told = read.read(4096).decode()
        assert shown in told


def test_only_what_is_bold_or_coloured_brings_codes_to_a_terminal(photos):
    terminal, end = pty.openpty()
    with os.fdopen(terminal, "rb", buffering=0) as read, os.fdopen(end, "wb") as stdout:
        shell("artifact", "ls", "demo", stdout=stdout, env={"TERM": "xterm", "NO_COLOR": ""})
        head, row, *_ = read.read(4096).decode().splitlines()
    assert head.startswith("\x1b[1m")
    assert "photos" in row
    assert "\x1b" not in row
