"""`lineal init`, `online`, `offline`, `disabled`: what a folder says to its runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from lineal.config import load


def test_a_folder_says_how_its_runs_behave(lineal, monkeypatch):
    for command, mode in (("offline", "offline"), ("disabled", "disabled"), ("enabled", "online")):
        assert f"mode = {mode}" in lineal(command).out
        assert load().mode == mode
    lineal("init", "-p", "vision", "-e", "team")
    assert (load().project, load().entity, load().mode) == ("vision", "team", "online")
    monkeypatch.setenv("WANDB_MODE", "offline")
    assert "$WANDB_MODE is set" in lineal("online").err


def test_what_else_is_in_the_file_stays(lineal):
    before = "# ours\n[default]\nmode: offline  \nquiet = true\n\n[later]\nmode = x\n"
    Path(".lineal").write_text(before)
    lineal("online")
    lineal("init", "--project", "vision")
    assert Path(".lineal").read_text() == (
        "# ours\n[default]\nproject = vision\nmode = online\nquiet = true\n\n[later]\nmode = x\n"
    )


def test_a_file_of_the_project_that_is_called_settings_is_none_of_ours(lineal):
    Path("settings").write_text("not = ours\n")
    lineal("offline")
    assert load().mode == "offline"


@pytest.mark.parametrize("words", [(), ("-p", "a/b"), ("-e", "a b"), ("-m", "onlin")])
def test_init_refuses_what_cannot_be(lineal, words):
    assert lineal("init", *words, fails=True).code == 2
    assert not Path(".lineal").exists()


def test_the_home_of_an_instance_is_no_settings_file(lineal):
    Path(".lineal").mkdir()
    answer = lineal("offline", fails=True)
    assert answer.code == 2
    assert "home of an instance" in answer.err


@pytest.mark.parametrize("words", [(), ("--relogin", "--host", "http://x"), ("0123abcd",), ("-h",)])
def test_login_says_that_there_is_no_account_and_touches_nothing(lineal, home, words):
    answer = lineal("login", *words)
    assert "no account" in answer.out
    assert (str(home) in answer.out) == ("-h" not in words)
    assert not home.exists()
