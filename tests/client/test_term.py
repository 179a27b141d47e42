from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

import lineal
from lineal.client import term


class Terminal:
    encoding = "utf-8"

    def __init__(self) -> None:
        self.text = ""

    def write(self, text: str) -> int:
        self.text += text
        return len(text)

    def flush(self) -> None: ...

    def isatty(self) -> bool:
        return True

    def fileno(self) -> int:
        raise OSError


def watched(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """Let what is said go to a terminal, all of it at once."""
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(term, "SHOW_AFTER_SECONDS", 0.0)
    monkeypatch.setattr(term, "REDRAW_SECONDS", 0.0)
    return terminal


def test_progress_is_drawn_on_a_terminal_and_erased_at_the_end(monkeypatch):
    terminal = watched(monkeypatch)
    with term.progress("storing data", files=4, size=4096) as progress:
        progress.advance(files=1, size=1024)
        assert "storing data · 1/4 files · 1.0 KiB of 4.0 KiB" in terminal.text
        term.info("meanwhile")
        assert "lineal: meanwhile\n" in terminal.text
    assert terminal.text.endswith(term.ERASE_LINE)


def test_bytes_told_of_a_file_under_way_count_once(monkeypatch):
    terminal = watched(monkeypatch)
    with term.progress("adding", files=2, size=4096) as progress:
        file = progress.file()
        file(1024)
        assert "0/2 files · 1.0 KiB of 4.0 KiB" in terminal.text
        file.done(2048)
        assert terminal.text.rpartition("adding")[2].startswith(" · 1/2 files · 2.0 KiB of 4.0 KiB")


def test_a_large_file_is_seen_to_come_and_go(tmp_path, monkeypatch):
    terminal = watched(monkeypatch)
    monkeypatch.setenv("LINEAL_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    Path("large.bin").write_bytes(os.urandom(13 << 20))
    with lineal.init(project="p", settings={"console": "off"}) as run:
        artifact = lineal.Artifact("large", "model")
        artifact.add_file("large.bin")
        assert seen(terminal, "adding large.bin") > 2
        run.log_artifact(artifact).wait()
        artifact.download(root="got")
        assert seen(terminal, "downloading") > 2
        other = lineal.Artifact("other", "model")
        other.add_file("large.bin", policy="immutable")
        assert seen(terminal, "adding large.bin") > 2
        run.log_artifact(other)


def test_of_an_added_folder_it_is_said_how_much_there_is_and_how_long_it_takes(
    tmp_path, monkeypatch
):
    terminal = watched(monkeypatch)
    monkeypatch.setenv("LINEAL_HOME", str(tmp_path / "home"))
    (tmp_path / "data" / "more").mkdir(parents=True)
    for name in ("a", "more/b", "more/c"):
        (tmp_path / "data" / name).write_bytes(bytes(1024))
    artifact = lineal.Artifact("data", "dataset")
    artifact.add_dir(str(tmp_path / "data"))
    (line,) = (line for line in terminal.text.split(term.ERASE_LINE) if " 2/3 files · " in line)
    assert line.startswith("lineal: adding data · 2/3 files · 2.0 KiB of 3.0 KiB · ")
    assert line.endswith(" left")
    artifact._adder.unlogged.clear()


def seen(terminal: Terminal, label: str) -> int:
    """Return how far a progress line was seen to be, how many different times; and forget it."""
    text, terminal.text = terminal.text, ""
    return len({line for line in text.split(term.ERASE_LINE) if f"{label} ·" in line})


def test_progress_tells_rate_and_time_left():
    text = term.progress("sending", files=2, size=100 << 20).text(10)
    assert text.startswith("lineal: sending · 0/2 files · 0 B of 100.0 MiB · 0 B/s")
    line = term.progress("sending", size=100 << 20)
    line._size_done = 25 << 20
    assert line.text(10).endswith("2.5 MiB/s · 0:30 left")


def test_without_a_terminal_there_is_no_progress(capsys):
    with term.progress("x", files=1) as progress:
        progress.advance(files=1)
    assert capsys.readouterr().err == ""


def test_quiet_keeps_warnings_and_silent_keeps_nothing(capsys):
    term.configure(quiet=True, silent=False)
    term.info("a")
    term.warning("b")
    assert capsys.readouterr().err == "lineal: warning: b\n"
    term.configure(quiet=False, silent=True)
    term.info("a")
    term.warning("b")
    term.error("c")
    assert capsys.readouterr().err == ""


def test_names_cannot_command_the_terminal(capsys):
    term.info("run \x1b[31mred\x07 naïve ☃\nsecond\tline")
    assert capsys.readouterr().err == (
        "lineal: run \\x1b[31mred\\x07 naïve ☃\nlineal: second\\tline\n"
    )


def test_warn_once_warns_once(capsys):
    term.warn_once("same")
    term.warn_once("same")
    assert capsys.readouterr().err.count("same") == 1


def test_a_closed_stderr_is_no_error(monkeypatch):
    screen = Terminal()
    monkeypatch.setattr(screen, "write", lambda text: (_ for _ in ()).throw(ValueError("closed")))
    monkeypatch.setattr(sys, "stderr", screen)
    term.warning("x")
    monkeypatch.setattr(sys, "stderr", None)
    term.warning("x")
    with term.progress("x", files=1) as progress:
        progress.advance(files=1)


def test_scripts_say_things_as_lineal_does(capsys):
    for repeat in (True, False, False):
        lineal.termlog("a", repeat=repeat)
        lineal.termwarn("b", repeat=repeat)
        lineal.termerror("c", repeat=repeat)
    said = capsys.readouterr().err.splitlines()
    assert said == ["lineal: a", "lineal: warning: b", "lineal: error: c"] * 2
    lineal.termlog("a\nb", prefix=False)
    lineal.termwarn("c", prefix=False)
    lineal.termerror("d", prefix=False)
    assert capsys.readouterr().err.splitlines() == ["a", "b", "warning: c", "error: d"]
