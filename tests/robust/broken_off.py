"""Do what programs do, and break it off once at each line of the SDK there is.

Run as a program: `python -m tests.robust.broken_off FOLDER artifacts`, or `runs`, does each thing
again after it was broken off, as somebody does in a notebook after Ctrl-C, and prints for each line
what came of it.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
import traceback
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

import lineal
from lineal.files.parts import PART
from tests.robust import workers

_HERE = os.path.dirname(lineal.__file__)


class Breaking:
    """Presses Ctrl-C at the first line that is new to it."""

    def __init__(self, *code: str) -> None:
        """code: the modules and rooms whose lines count."""
        self._code = tuple(os.path.join(_HERE, name) for name in code)
        self.seen: set[tuple[str, int]] = set()
        self._at = ""
        """The line of this work at which that was done."""

    def _trace(self, frame: FrameType, event: str, _argument: Any) -> Any:
        name = frame.f_code.co_filename
        if self._at or not name.startswith(self._code):
            return None
        line = name, frame.f_lineno
        if event == "line" and line not in self.seen:
            self.seen.add(line)
            self._at = f"{os.path.relpath(name, _HERE)}:{frame.f_lineno}"
            signal.raise_signal(signal.SIGINT)
        return self._trace

    def off(self, work: Callable[[], object], again: Callable[[], object] | None = None) -> None:
        """Do some work and, if it was broken off, again."""
        self._at = ""
        sys.settrace(self._trace)
        with suppress(KeyboardInterrupt):
            work()
        sys.settrace(None)
        try:
            (again or work)()
        except Exception:  # the other lines are to be tried as well
            print(self._at, traceback.format_exc(limit=-2), flush=True)
        else:
            if self._at:
                print(self._at, "fine", flush=True)

    def everywhere(self, work: Callable[[], None]) -> None:
        """Repeat some work with its `off` until no line of it is new."""
        count = -1
        while count < len(self.seen):
            count = len(self.seen)
            work()


class Artifacts:
    """Fills drafts from a folder, logs them, and downloads versions to another."""

    def __init__(self, folder: Path) -> None:
        breaking = Breaking("client/artifact", "files", "packs.py")
        self._folder, self._off = folder, breaking.off
        self._target, self._source = folder / "target", workers.many_files(folder / "source")
        (self._source / "large").write_bytes(os.urandom(2 << 20))
        (self._source / "sub").mkdir()
        (self._source / "sub" / "small").write_text("small")
        self.run = workers.start()
        self._count = 0
        self._first, self._second = self._logged(), self._logged()
        for work in (self.fill, self.log, self.fetch):
            breaking.everywhere(work)
        self.run.finish()

    def _changed(self, draft: lineal.Artifact) -> lineal.Artifact:
        self._count += 1
        (self._source / "changed").write_text(f"change {self._count}")
        draft.add_dir(self._source, merge=True)
        return draft

    def _logged(self) -> lineal.Artifact:
        draft = self._changed(lineal.Artifact("data", "dataset"))
        return self.run.log_artifact(draft).wait()

    def fill(self) -> None:
        (self._source / "0").touch()  # so that it is read again
        for draft in (lineal.Artifact("data", "dataset"), self._first.new_draft()):
            self._fill(draft)
            assert len(draft.manifest) == 125

    def _fill(self, draft: lineal.Artifact) -> None:
        off, source = self._off, self._source
        off(lambda: draft.add_dir(source, merge=True))
        off(lambda: draft.add_file(source / "changed", "again"))
        off(lambda: draft.add_bytes(b"some", "bytes"))
        off(lambda: self._write(draft))
        off(lambda: draft.remove("again"), lambda: self._require_gone(draft, "again"))

    @staticmethod
    def _write(draft: lineal.Artifact) -> None:
        with draft.new_file("written", "w") as file:
            file.write("written")

    @staticmethod
    def _require_gone(draft: lineal.Artifact, name: str) -> None:
        if name in draft.manifest.entries:
            draft.remove(name)

    def log(self) -> None:
        draft = self._changed(self._first.new_draft())
        self._off(lambda: self.run.log_artifact(draft).wait())

    def fetch(self) -> None:
        shutil.rmtree(self._target, ignore_errors=True)
        for version in (self._first, self._second):
            self._off(partial(version.download, self._target), self._require_no_parts)
            self._off(partial(version.checkout, self._target), self._require_no_parts)
            version.checkout(self._target)
            version.verify(self._target)

    def _require_no_parts(self) -> None:
        left = [path for path in self._folder.rglob("*.part") if PART.fullmatch(path.name)]
        for path in left:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        assert left == []


class Runs:
    """Begins runs, logs to them, and finishes them."""

    def __init__(self, folder: Path) -> None:
        names = (
            "core",
            "finishing",
            "rows",
            "saved_files",
            "spool",
            "summary",
            "config",
            "resuming",
        )
        code = ("client/init.py", "client/session.py", *(f"client/run/{name}.py" for name in names))
        breaking = Breaking(*code)
        self._off, self._saved, self._count = breaking.off, folder / "saved", 0
        workers.start().finish()  # what is loaded by it is no matter here
        for work in (self.begin, self.log):
            breaking.everywhere(work)

    def begin(self) -> None:
        self._off(workers.start, self._finish_active)
        self._finish_active()

    @staticmethod
    def _finish_active() -> None:
        if lineal.run is not None:
            lineal.run.finish()
        assert os.listdir(os.path.join(workers.home(), "spool")) == []  # none goes on

    def log(self) -> None:
        off, run, number = self._off, workers.start(), self._count
        self._count += 1
        off(lambda: run.log({"maybe": number}))
        run.log({"kept": 0})
        off(lambda: run.log({"maybe": number}, commit=False))
        run.log({"kept": 1})
        off(lambda: run.define_metric("loss", summary="min"))
        off(lambda: run.summary.update({"a": {"b": number}}))
        off(lambda: run.config.update({"a": {"b": number}}, allow_val_change=True))
        self._saved.write_text(f"{number}")
        off(lambda: run.save(self._saved, base_path=str(self._saved.parent), policy="now"))
        off(lambda: run.alert("title"))
        off(run.flush)
        run.log({"kept": 2})
        off(run.finish, lambda: self._require_whole(run, number))

    def _require_whole(self, run: lineal.Run, number: int) -> None:
        run.finish()
        self._finish_active()
        found = lineal.Api().run(run.path)
        history = list(found.scan_history())
        assert [row["kept"] for row in history if "kept" in row] == [0, 1, 2]
        assert len({row["_step"] for row in history}) == len(history)
        assert found.state == "finished"
        assert found.summary["a"] == found.config["a"] == {"b": number}
        with found.file("saved").download(str(self._saved.parent / "found"), replace=True) as file:
            assert file.read() == str(number)


def main(folder: Path, what: str) -> None:
    sys.unraisablehook = lambda _: None  # a line of a `__del__` cannot be broken off
    {"artifacts": Artifacts, "runs": Runs}[what](folder)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
