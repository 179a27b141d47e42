from __future__ import annotations

import json
import sys

import pytest

import lineal
from lineal.client.capture.console import Console
from lineal.client.capture.screen import LINE_MAX_CHARACTERS, ROWS_MOST, last_state
from lineal.core.records import Stream


def contents(kept: list[bytes]) -> list[tuple[str, str]]:
    return [(line["level"], line["content"]) for line in map(json.loads, kept)]


def test_what_is_printed_is_kept_and_still_printed(capsys):
    kept: list[bytes] = []
    console = Console(kept.append)
    print("one\ntwo")
    print("three", file=sys.stderr)
    console.close()
    assert contents(kept) == [("info", "one"), ("info", "two"), ("error", "three")]
    assert capsys.readouterr().out == "one\ntwo\n"


def test_a_progress_bar_is_kept_in_its_last_state(capsys):
    kept: list[bytes] = []
    console = Console(kept.append)
    for percent in range(101):
        sys.stderr.write(f"\r{percent}%")
    sys.stderr.write("\n")
    console.close()
    assert contents(kept) == [("error", "100%")]


def test_nested_progress_bars_are_kept_in_their_last_states(capsys):
    kept: list[bytes] = []
    console = Console(kept.append)
    for outer in range(3):
        sys.stderr.write(f"\router {outer}")
        for inner in range(5):
            sys.stderr.write("\n")
            sys.stderr.write(f"\rinner {outer}.{inner}")
            sys.stderr.write("\x1b[A")
        sys.stderr.write(f"\rinner {outer} done\n")
    sys.stderr.write("\router done\n")
    assert ("error", "outer done") not in contents(kept)  # the program may go back to it
    print("end", file=sys.stderr)
    assert ("error", "end") in contents(kept)
    console.close()
    assert [line for _, line in contents(kept)] == [
        "outer 0",  # nobody could know that the program would go back to it
        *(f"inner {outer} done" for outer in range(3)),
        "outer done",
        "end",
    ]


def test_lines_of_both_streams_are_kept_in_the_order_of_the_terminal(capsys):
    kept: list[bytes] = []
    console = Console(kept.append)
    for epoch in range(2):
        sys.stderr.write(f"\repoch {epoch}")
        for step in range(3):
            sys.stderr.write(f"\n\rstep {epoch}.{step}\x1b[A")
        sys.stderr.write(f"\n\rstep {epoch} done\x1b[A")
        print(f"loss {epoch}")
    sys.stderr.write("\repochs done\n\n")
    print("end")
    console.close()
    assert contents(kept) == [
        ("error", "epoch 0"),  # nobody could know that the program would go back to it
        ("info", "loss 0"),
        ("info", "loss 1"),
        ("error", "epochs done"),
        ("error", "step 1 done"),
        ("info", "end"),
    ]


def test_bars_that_are_drawn_anew_together_are_kept_once(capsys):
    kept: list[bytes] = []
    console = Console(kept.append)
    sys.stdout.write("a 0%\nb 0%")
    for percent in range(1, 101):
        sys.stdout.write("\r\x1b[2K\x1b[1A\x1b[2K")
        if percent == 50:
            sys.stdout.write("half\n")
        sys.stdout.write(f"a {percent}%\nb {percent}%")
    sys.stdout.write("\n")
    console.close()
    assert [line for _, line in contents(kept)] == ["a 0%", "half", "a 100%", "b 100%"]


def test_a_bar_that_returns_at_the_end_of_each_write_is_kept_in_its_last_state(capsys):
    kept: list[bytes] = []
    console = Console(kept.append)
    for percent in range(0, 101, 10):
        sys.stderr.write(f"{percent}%\r")
    console.close()
    assert contents(kept) == [("error", "100%")]


def test_lines_that_were_never_written_anew_are_kept_at_once(capsys):
    kept: list[bytes] = []
    console = Console(kept.append)
    sys.stdout.write("\x1b[A\x1b[5A")
    for line in ("one", "", "two"):
        print(line)
    assert [line for _, line in contents(kept)] == ["one", "", "two"]
    console.close()


def test_a_line_without_a_break_is_cut_and_one_with_a_break_is_not(capsys):
    kept: list[bytes] = []
    console = Console(kept.append)
    long = "x" * (LINE_MAX_CHARACTERS + 1)
    sys.stdout.write(f"{long}\n")
    sys.stdout.write(long)
    sys.stdout.write("rest")
    console.close()
    assert [line for _, line in contents(kept)] == [long, long, "rest"]


def test_what_goes_further_up_than_lines_wait_stays_bounded(capsys):
    kept: list[bytes] = []
    console = Console(kept.append)
    for number in range(100):
        sys.stdout.write(f"\r{number}\n\x1b[999999A")
        sys.stdout.write("\n" * 150)
    assert len(console._screens["info"]._rows) <= ROWS_MOST + 1
    console.close()
    assert len(kept) > 5_000


def test_a_cursor_that_goes_up_by_a_number_beyond_measure_stays_where_it_is(capsys):
    kept: list[bytes] = []
    console = Console(kept.append)
    sys.stdout.write(f"one\n\x1b[{'9' * 5_000}Atwo\n")
    print("three")
    console.close()
    assert [line for _, line in contents(kept)] == ["one", "two", "three"]


@pytest.mark.parametrize(
    ("line", "state"), [("a\rb", "b"), ("a\r", "a"), ("a", "a"), ("\r", ""), ("a\r\rb\r", "b")]
)
def test_last_state(line, state):
    assert last_state(line) == state


def test_what_has_no_line_break_is_kept_at_the_end(capsys):
    kept: list[bytes] = []
    console = Console(kept.append)
    sys.stdout.write("no newline")
    assert kept == []
    console.close()
    assert contents(kept) == [("info", "no newline")]


def test_streams_keep_their_identity_and_are_put_back(capsys):
    before = sys.stdout
    console = Console(lambda line: None)
    assert sys.stdout is before
    assert not sys.stdout.isatty()
    console.close()
    assert "write" not in vars(before)


def test_streams_wrapped_by_others_meanwhile_stay_wrapped(capsys):
    console = Console(lambda line: None)
    ours = sys.stdout.write
    said = []

    def theirs(text):
        said.append(text)
        return ours(text)

    sys.stdout.write = theirs
    console.close()
    print("after")
    assert "".join(said) == "after\n"
    assert capsys.readouterr().out == "after\n"


def test_runs_that_overlap_for_long_keep_what_is_printed_meanwhile(capsys):
    before = sys.stdout.write
    kept: list[bytes] = []
    overlapping = [Console(kept.append)]
    for number in range(1_100):  # more than Python calls may be nested
        overlapping.append(Console(kept.append))
        print(number)
        overlapping.pop(0).close()
    overlapping.pop().close()
    print("after")
    assert len(kept) == 2 * 1_100
    assert sys.stdout.write == before
    assert capsys.readouterr().out.count("\n") == 1_101


def test_a_failure_to_keep_does_not_break_printing(capsys):
    kept: list[bytes] = []
    is_full = iter([False, True, False])

    def keep(line: bytes) -> None:
        if next(is_full):
            json.loads("what fails")
        kept.append(line)

    console = Console(keep)
    for line in ("one", "two", "three"):
        print(line)
    console.close()
    assert capsys.readouterr().out == "one\ntwo\nthree\n"
    assert [line for _, line in contents(kept)] == ["one", "three"]


def test_what_is_printed_too_deep_is_lost_and_nothing_after_it(capsys):
    def go_down() -> None:
        print("down")
        go_down()

    kept: list[bytes] = []
    console = Console(kept.append)
    with pytest.raises(RecursionError):
        go_down()
    print("after")
    console.close()
    assert contents(kept)[-1][1].endswith("after")


def test_console_lines_reach_the_run_and_its_log_file():
    with lineal.init() as run:
        print("hello")
        print("problem", file=sys.stderr)
        run.write_logs("extra")
    lines = [json.loads(x) for x in run.backend.read_lines(run.record.key, Stream.CONSOLE)]
    assert [(line["level"], line["content"]) for line in lines] == [
        ("info", "hello"),
        ("error", "problem"),
        ("info", "extra"),
    ]
    again = lineal.init(id=run.id, resume="allow")
    file = again.restore("output.log")
    assert file is not None
    with file:
        assert file.read() == "hello\nproblem\nextra\n"


def output_of(run: lineal.Run) -> list[str]:
    lines = [json.loads(x) for x in run.backend.read_lines(run.record.key, Stream.CONSOLE)]
    return [line["content"] for line in lines]


def test_the_exception_that_ended_a_run_is_part_of_its_output(capsys):
    with pytest.raises(ValueError, match="diverged"), lineal.init() as run:  # noqa: PT012 - it prints first
        print("hello")
        raise ValueError("diverged")
    first, second, *_, last = output_of(run)
    assert (first, second, last) == (
        "hello",
        "Traceback (most recent call last):",
        "ValueError: diverged",
    )
    assert "ValueError" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("code", "words"), [(None, []), (0, []), (3, []), ("no data", ["no data"])]
)
def test_of_an_exit_its_message_is_part_of_the_output(code, words):
    with pytest.raises(SystemExit), lineal.init() as run:
        sys.exit(code)
    assert output_of(run) == words


@pytest.mark.parametrize("how", [{"settings": {"console": "off"}}, {"mode": "disabled"}])
def test_an_exception_ends_a_run_without_a_console_as_any_other(how):
    with pytest.raises(ValueError, match="diverged"), lineal.init(**how):
        raise ValueError("diverged")
    assert lineal.run is None


def test_messages_of_lineal_are_not_part_of_the_programs_output():
    with lineal.init() as run:
        run.alert("look")
    assert list(run.backend.read_lines(run.record.key, Stream.CONSOLE)) == []


def test_console_off_keeps_nothing():
    with lineal.init(settings={"console": "off"}) as run:
        print("hello")
    assert list(run.backend.read_lines(run.record.key, Stream.CONSOLE)) == []
