"""Log an artifact, and have a signal interrupt that once at each line of the SDK there is.

Run as a program: `python -m tests.robust.interrupted FOLDER` prints, for each line, what came of a
handler that logs an artifact of its own and waits until that is stored.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from types import FrameType
from typing import Any

import lineal
from tests.robust import workers

_HERE = os.path.dirname(lineal.__file__)
_CODE = tuple(os.path.join(_HERE, name) for name in ("client", "files", "packs.py", "collector.py"))


class Interrupting:
    """Sends a signal at the first line that is new to it."""

    def __init__(self) -> None:
        self.seen: set[tuple[str, int]] = set()
        self.at: str | None = None
        """Where the signal was sent that no handler has been called for yet."""

    def trace(self, frame: FrameType, event: str, _argument: Any) -> Any:
        name = frame.f_code.co_filename
        if not name.startswith(_CODE):
            return None
        line = name, frame.f_lineno
        if event == "line" and self.at is None and line not in self.seen:
            self.seen.add(line)
            self.at = f"{os.path.relpath(name, _HERE)}:{frame.f_lineno}"
            signal.raise_signal(signal.SIGUSR1)
        return self.trace


def log(run: lineal.Run, source: Path, content: str) -> None:
    (source / "changed").write_text(content)
    artifact = lineal.Artifact("data", "dataset")
    artifact.add_dir(source)
    artifact.add_file(source / "changed", "again")
    artifact.remove("again")
    draft = run.log_artifact(artifact).wait().new_draft()
    (source / "changed").write_text(content * 2)
    draft.add_dir(source, merge=True)
    run.log_artifact(draft).wait()


def main(folder: Path) -> None:
    source = folder / "source"
    source.mkdir()
    run = workers.start()
    interrupting = Interrupting()

    def handle(_number: int, _frame: FrameType | None) -> None:
        sys.settrace(None)
        at, interrupting.at = interrupting.at, None
        path = folder / "checkpoint"
        path.write_text(str(len(interrupting.seen)))
        checkpoint = lineal.Artifact("checkpoint", "model")
        checkpoint.add_file(path)
        run.log_artifact(checkpoint)
        try:
            checkpoint.wait(timeout=10)
        except lineal.errors.WaitTimeoutError:
            print(at, "the upload waits for what was interrupted", flush=True)
            os._exit(1)
        print(at, "stored", flush=True)
        sys.settrace(interrupting.trace)

    signal.signal(signal.SIGUSR1, handle)
    lines = -1
    while lines < len(interrupting.seen):
        lines = len(interrupting.seen)
        sys.settrace(interrupting.trace)
        log(run, source, f"content {lines}")
        sys.settrace(None)
    run.finish()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
