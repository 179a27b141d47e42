"""Modules that are loaded when they are wanted, while other threads import and fork."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

MODULES = {
    "package/__init__.py": """
from lineal.startup.on_demand import modules_of
__getattr__ = modules_of(__name__)
""",
    "package/asking.py": """
import time, package
time.sleep(0.3)
package.plain
""",
    "package/importing.py": """
import time
time.sleep(0.1)
import package.asking
""",
    "package/plain.py": "value = 1\n",
    "package/slow.py": "import time\ntime.sleep(0.5)\nvalue = 1\n",
    "package/broken.py": "import nowhere_to_be_found\n",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "package").mkdir()
    for path, text in MODULES.items():
        (tmp_path / path).write_text(text)
    return tmp_path


def _run(code: str, folder: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, timeout=20, capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_a_plain_import_and_one_on_demand_do_not_wait_for_each_other(folder: Path) -> None:
    code = """
import threading, package
def on_demand(): package.importing  # which imports what the other thread is importing
thread = threading.Thread(target=on_demand)
thread.start()
import package.asking  # which asks for another on demand
thread.join()
print(package.plain.value)
"""
    assert _run(code, folder) == "1\n"


def test_a_fork_waits_for_what_another_thread_loads(folder: Path) -> None:
    code = """
import os, sys, threading, time, package
thread = threading.Thread(target=lambda: package.slow)
thread.start()
time.sleep(0.2)
child = os.fork()
if child == 0:
    print(package.slow.value, flush=True)
    os._exit(0)
thread.join()
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    assert _run(code, folder) == "1\n"


def test_a_module_that_forks_while_it_is_loaded_waits_for_nobody(folder: Path) -> None:
    (folder / "package" / "forking.py").write_text(
        "import os\nchild = os.fork()\nif child == 0: os._exit(0)\nos.waitpid(child, 0)\n"
    )
    assert _run("import package; package.forking; print('done')", folder) == "done\n"


def test_what_is_missing_is_named(folder: Path) -> None:
    code = """
import package
for name in ("nothing", "broken"):
    try: getattr(package, name)
    except Exception as error: print(type(error).__name__, error)
"""
    assert _run(code, folder).splitlines() == [
        "AttributeError module 'package' has no attribute 'nothing'",
        "ModuleNotFoundError No module named 'nowhere_to_be_found'",
    ]
