"""How runs end when their process does; real processes, since that is the point."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import lineal
from lineal.core.records import Stream

QUICK = (
    "dict(disable_machine_info=True, disable_requirements=True, disable_git=True,"
    " disable_meta=True, console='off')"
)


def script(
    body: str,
    *,
    kill_when: str | None = None,
    kill_with: signal.Signals = signal.SIGKILL,
    code: int = 0,
) -> str:
    """Run a script; send the signal once a line of its output says so. Returns stderr."""
    Path("script.py").write_text(f"import os, sys, lineal\nQUICK = {QUICK}\n{body}")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    process = subprocess.Popen(
        [sys.executable, "script.py"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    )
    assert process.stdout is not None
    if kill_when is not None:
        for line in process.stdout:
            if kill_when in line:
                os.kill(process.pid, kill_with)
                break
    _, err = process.communicate(timeout=60)
    assert process.returncode == (-kill_with if kill_when else code), err
    return err


def record(run_id: str = "a"):
    backend = lineal.init(reinit="create_new").backend
    return backend, backend.run("ana", "uncategorized", run_id)


def steps(run_id: str = "a") -> list[int]:
    backend, run = record(run_id)
    return [json.loads(line)["_step"] for line in backend.read_lines(run.key, Stream.HISTORY)]


@pytest.mark.parametrize(
    ("last_line", "code", "state"),
    [
        ("", 0, "finished"),
        ("raise ValueError('x')", 1, "failed"),
        ("sys.exit(3)", 3, "failed"),
        ("sys.exit('message')", 1, "failed"),
        ("sys.exit(0)", 0, "finished"),
        ("exit(3)", 3, "failed"),
        ("quit()", 0, "finished"),
        ("sys.exit(10**20)", 255, "failed"),
        ("import threading; threading.Thread(target=sys.exit, args=(3,)).start()", 0, "finished"),
        ("try: sys.exit(3)\nexcept SystemExit: pass", 0, "finished"),
        ("import contextlib\nwith contextlib.suppress(SystemExit): exit(3)", 0, "finished"),
        ("try: sys.exit(3)\nexcept SystemExit: pass\nlineal.teardown()", 0, "finished"),
        ("try: sys.exit(3)\nfinally: lineal.teardown()", 3, "failed"),
        ("try: sys.exit(3)\nexcept SystemExit: sys.exit(4)", 4, "failed"),
        ("try: sys.exit(3)\nexcept SystemExit: raise", 3, "failed"),
        ("try: sys.exit(3)\nfinally: print()", 3, "failed"),
        ("try: sys.exit(3)\nexcept SystemExit: raise ValueError", 1, "failed"),
        ("sys.excepthook = lambda *_: None\nraise ValueError('x')", 1, "failed"),
        ("sys.excepthook = lambda *_: None", 0, "finished"),
    ],
)
def test_the_state_follows_the_end_of_the_script(last_line, code, state):
    script(f"lineal.init(id='a', settings=QUICK).log({{'x': 1}})\n{last_line}", code=code)
    _, run = record()
    assert (run.state, run.exit_code) == (state, code)
    assert steps() == [0]


@pytest.mark.parametrize(
    ("last_line", "code", "state"),
    [
        ("sys.exit(main(3))", 3, "failed"),
        ("sys.exit(main(None))", 0, "finished"),
        ("from sys import exit as leave\nleave(main(3))", 3, "failed"),
        ("exit(main(3))", 3, "failed"),
        ("before = sys.exit\nsys.exit = lambda code: before(code)\nsys.exit(main(3))", 3, "failed"),
        ("try: sys.exit(main(3))\nexcept SystemExit: pass", 0, "finished"),
    ],
)
def test_so_it_does_where_sys_exit_is_looked_up_before_the_run_begins(last_line, code, state):
    script(
        f"""
def main(code):
    lineal.init(id='a', settings=QUICK).log({{'x': 1}})
    return code

{last_line}
""",
        code=code,
    )
    _, run = record()
    assert (run.state, run.exit_code) == (state, code)


def test_what_finish_could_not_do_is_tried_again_at_the_end() -> None:
    script(
        """
import sqlite3
run = lineal.init(id='a', settings={**QUICK, 'busy_timeout': 0.2})
run.log({'x': 1})
other = sqlite3.connect(os.path.join(os.environ['LINEAL_HOME'], 'lineal.db'))
other.execute('BEGIN IMMEDIATE')
try:
    run.finish()
except lineal.errors.Unavailable:
    other.rollback()
else:
    os._exit(3)
"""
    )
    _, run = record()
    assert (run.state, run.exit_code) == ("finished", 0)
    assert steps() == [0]


@pytest.mark.parametrize("begin", ["{init}\n", "with {init}: "])
def test_ctrl_c_is_a_failure_with_255_and_ends_python_as_ever(begin):
    begin = begin.replace("{init}", "lineal.init(id='a', settings=QUICK)")
    code = -signal.SIGINT  # by which a shell knows that its loop is to end, too
    script(f"{begin}raise KeyboardInterrupt", code=code)
    _, run = record()
    assert (run.state, run.exit_code) == ("failed", 255)


def test_an_artifact_that_nobody_waited_for_is_stored():
    script(
        "run = lineal.init(id='a', settings=QUICK)\n"
        "open('f.txt', 'w').write('x')\n"
        "run.log_artifact('f.txt', name='data', type='dataset')\n"
    )
    assert record()[1].state == "finished"
    assert lineal.Api().artifact("uncategorized/data:v0").file_count == 1


def test_a_large_file_that_is_copied_when_the_script_has_ended_is_stored(tmp_path, monkeypatch):
    monkeypatch.setenv("LINEAL_CACHE_DIR", str(tmp_path / "cache"))
    large = Path("large.bin")
    large.write_bytes(os.urandom(3 << 20))
    os.utime(large, (1, 1))
    log = "lineal.init(id='a', settings=QUICK).log_artifact('large.bin', name='data', type='raw')"
    script(f"{log}.wait()")  # what the cache knows is not copied before it is stored
    monkeypatch.setenv("LINEAL_HOME", str(tmp_path / "another"))
    script(log)
    stored = lineal.Api().artifact("uncategorized/data:v0").download()
    assert Path(stored, "large.bin").read_bytes() == large.read_bytes()
    assert record()[1].state == "finished"


def test_a_file_that_the_script_forgot_to_close_is_whole():
    script("""
lineal.init(id="a", settings=QUICK)
def main(): pass  # its module and it refer to each other, so only the collector frees both
forgotten = open("forgotten.txt", "w")
forgotten.write("all of it")
""")
    assert Path("forgotten.txt").read_text() == "all of it"


def test_kill_9_loses_nothing_that_log_returned_for():
    script(
        "import time\n"
        "run = lineal.init(id='a', settings=dict(QUICK, console='wrap'))\n"
        "for step in range(500):\n"
        "    run.log({'x': step})\n"
        "run.define_metric('acc', summary='max')\n"
        "run.log({'acc': 2, 'gone': 1}); run.log({'acc': 1})\n"
        "run.config.update({'a': 1}); run.summary['mine'] = {'deep': 7}; del run.summary['gone']\n"
        "run.log({'y': 1}, commit=False)\n"
        "print('ready', flush=True)\n"
        "time.sleep(60)\n",
        kill_when="ready",
    )
    assert steps() == list(range(503))
    backend, run = record()
    lines = [json.loads(line) for line in backend.read_lines(run.key, Stream.CONSOLE)]
    assert [line["content"] for line in lines] == ["ready"]
    assert run.state == "crashed"
    assert run.config["a"] == 1
    summary = {key: value for key, value in run.summary.items() if not key.startswith("_")}
    assert summary == {"x": 499, "acc.max": 2, "mine.deep": 7, "y": 1}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_a_run_that_a_signal_ends_has_crashed_also_if_it_logged_nothing(number):
    script(
        "import time\n"
        "run = lineal.init(id='a', settings=QUICK)\n"
        "print('ready', flush=True)\n"
        "time.sleep(60)\n",
        kill_when="ready",
        kill_with=number,
    )
    _, run = record()
    assert run.state == "crashed"


def test_a_program_keeps_its_own_way_with_signals():
    script(
        "import signal, time\n"
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit(3))\n"
        "run = lineal.init(id='a', settings=QUICK)\n"
        "run.log({'x': 1})\n"
        "os.kill(os.getpid(), signal.SIGTERM)\n"
        "time.sleep(60)\n",
        code=3,
    )
    _, run = record()
    assert (run.state, run.exit_code) == ("failed", 3)


def test_a_handler_of_a_signal_may_log_and_finish_whatever_it_interrupts():
    script(
        """
import faulthandler, signal
faulthandler.dump_traceback_later(30, exit=True)
run = lineal.init(id='a', settings=dict(QUICK, console='wrap'))
sent = handled = logged = 0
def handle(*_):
    global handled
    handled += 1
    run.log({'handled': handled})
    run.summary['last'] = handled
    print(handled)
    if handled == 300:
        run.finish(exit_code=3)
        sys.exit(3)
signal.signal(signal.SIGALRM, handle)
while True:
    if sent == handled:
        sent += 1
        signal.setitimer(signal.ITIMER_REAL, 0.0003)
    run.log({'logged': logged})
    run.summary['main'] = logged
    print(logged)
    logged += 1
""",
        code=3,
    )
    backend, run = record()
    rows = [json.loads(line) for line in backend.read_lines(run.key, Stream.HISTORY)]
    handled = [row["handled"] for row in rows if "handled" in row]
    logged = [row["logged"] for row in rows if "logged" in row]
    assert handled == list(range(1, 301))
    assert logged == list(range(len(logged)))
    assert (run.state, run.summary["last"]) == ("failed", 300)


def test_what_is_logged_after_an_interrupted_log_has_a_step_of_its_own():
    script(
        """
import signal
run = lineal.init(id='a', settings=QUICK)
def interrupt(*_):
    raise KeyboardInterrupt
signal.signal(signal.SIGALRM, interrupt)
for number in range(300):
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.0003)
        while True:
            run.log({'x': number})
    except KeyboardInterrupt:
        pass
"""
    )
    found = steps()
    assert len(found) > 300
    assert len(set(found)) == len(found)


def test_what_a_handler_of_a_signal_raises_reaches_the_program():
    script(
        """
import faulthandler, signal
faulthandler.dump_traceback_later(30, exit=True)
run = lineal.init(id='a', settings=dict(QUICK, console='wrap'))
def time_out(*_):
    raise TimeoutError
signal.signal(signal.SIGALRM, time_out)
for number in range(300):
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.0003)
        while True:
            print(number)
            run.log({'x': number})
    except TimeoutError:
        pass
"""
    )
    assert record()[1].state == "finished"


INTERACT = "import code; code.interact(local=globals())\n"


@pytest.mark.parametrize(
    ("program", "typed", "code", "state"),
    [
        (None, "run = {init}\n1/0\n", 0, "finished"),
        (None, "def f():\n  {init}\n  1/0\n\nf()\n", 0, "finished"),
        (None, "run = {init}\n1/0\nexit(3)\n", 3, "failed"),
        ("{init}", "1/0\n", 0, "finished"),
        ("{init}; 1/0", "2\n", 1, "failed"),
        ("{init}\n" + INTERACT, "1/0\n", 0, "finished"),
        (INTERACT, "run = {init}\n1/0\n", 0, "finished"),
        ("{init}\n" + INTERACT + "1/0", "2\n", 1, "failed"),
    ],
)
def test_an_error_at_a_prompt_ends_no_run(program, typed, code, state):
    begin = f"import lineal\nQUICK = {QUICK}\n"
    init = "lineal.init(id='a', settings=QUICK)"
    if program is None:
        typed = begin + typed
    else:
        Path("script.py").write_text(begin + program.replace("{init}", init))
    subprocess.run(
        [sys.executable, "-i", *([] if program is None else ["script.py"])],
        input=typed.replace("{init}", init).encode(),
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        timeout=60,
        check=False,
    )
    _, run = record()
    assert (run.state, run.exit_code) == (state, code)


FORK = """
import time
run = lineal.init(id='a', settings=QUICK)
run.log({'who': 'parent'})
child = os.fork()
if child == 0:
    for _ in range(3):
        run.log({'who': 'child'})
    {end}
os.waitpid(child, 0)
run.log({'who': 'parent'})
"""


@pytest.mark.parametrize("end", ["os._exit(0)", "run.finish(); os._exit(0)", "sys.exit(0)"])
def test_a_forked_child_adds_lines_and_leaves_the_run_to_its_parent(end):
    script(FORK.replace("{end}", end))
    backend, run = record()
    assert run.state == "finished"
    rows = [json.loads(line) for line in backend.read_lines(run.key, Stream.HISTORY)]
    assert sorted(row["who"] for row in rows) == ["child"] * 3 + ["parent"] * 2


MULTIPROCESSING = """
import multiprocessing

def work(number):
    run = lineal.init(id=f'child{number}', settings=QUICK)
    run.log({'x': number})
    if number == 1:
        raise ValueError('x')
    if number == 2:
        raise SystemExit(7)

if __name__ == '__main__':
    context = multiprocessing.get_context('{method}')
    {before}
    children = [context.Process(target=work, args=(n,)) for n in range(3)]
    for child in children: child.start()
    for child in children: child.join()
"""


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
@pytest.mark.parametrize("before", ["", "lineal.init(id='parent', settings=QUICK)"])
def test_runs_of_multiprocessing_children_are_finished(method, before):
    script(MULTIPROCESSING.replace("{method}", method).replace("{before}", before))
    assert record("child0")[1].state == "finished"
    assert record("child1")[1].state == "failed"
    assert record("child2")[1].exit_code == 7
    assert steps("child0") == steps("child1") == [0]


def test_two_processes_may_write_to_one_run():
    body = (
        "run = lineal.init(id='a', resume='allow', settings=QUICK)\n"
        "for step in range(50): run.log({'x': step})\n"
    )
    Path("script.py").write_text(f"import lineal\nQUICK = {QUICK}\n{body}")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    processes = [subprocess.Popen([sys.executable, "script.py"], env=environment) for _ in range(3)]
    assert [process.wait(timeout=60) for process in processes] == [0, 0, 0]
    assert len(steps()) == 150


@pytest.mark.parametrize(
    ("told", "last_line", "code"),
    [("QUICK", "", 120), ("QUICK", "sys.exit(3)", 3), ("dict(QUICK, **warn)", "", 0)],
)
def test_a_script_that_leaves_finish_to_its_end_fails_where_an_artifact_did(told, last_line, code):
    err = script(
        "warn = {'raise_on_failed_artifacts': False}\n"
        f"run = lineal.init(id='a', settings={told})\n"
        "open('f.txt', 'w').write('x')\n"
        "lost = lineal.Artifact('lost', 'dataset')\n"
        "lost.add_file('f.txt', policy='immutable')\n"
        "os.unlink('f.txt')\n"
        f"run.log_artifact(lost)\n{last_line}",
        code=code,
    )
    assert "1 artifact was not stored" in err
    assert "Traceback" not in err
    assert record()[1].state == "failed"


def test_what_was_lost_with_the_home_is_said_once() -> None:
    err = script(
        """
import shutil
run = lineal.init(id='a', settings=QUICK)
lost = lineal.Artifact('lost', 'dataset')
with lost.new_file('f.txt') as file:
    file.write('x')
run.log_artifact(lost).wait()  # what is lost is the end of the run alone
shutil.rmtree(os.environ['LINEAL_HOME'])
""",
        code=120,
    )
    assert err.count("lineal.db was removed or moved away") == 1


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
@pytest.mark.parametrize("last_line", ["", "raise SystemExit(3)"])
def test_so_does_a_child_of_multiprocessing(method, last_line):
    ends = 3 if last_line else 120
    script(
        f"""
import atexit, multiprocessing
from multiprocessing import util

def work(said):
    run = lineal.init(id='a', settings=QUICK)
    open('f.txt', 'w').write('x')
    lost = lineal.Artifact('lost', 'dataset')
    lost.add_file('f.txt', policy='immutable')
    os.unlink('f.txt')
    run.log_artifact(lost)
    util.Finalize(None, said.put, args=('all is done',), exitpriority=-1)
    {last_line}

if __name__ == '__main__':
    context = multiprocessing.get_context('{method}')
    said = context.SimpleQueue()
    child = context.Process(target=work, args=(said,))
    child.start()
    child.join()
    assert child.exitcode == {ends}, child.exitcode
    assert said.get() == 'all is done'
"""
    )
    assert record()[1].state == "failed"
