"""Run benchmarks and print what they took beside what they may take.

Usage: python -m benchmarks [NAME …] [--runs N] [--quick] [--full] [--json FILE] [--dir FOLDER]
Ends with 1 if something failed or took more than its limit.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import shutil
import sys
import tempfile
import time
import traceback

from benchmarks.results import Bench, Result, table

NAMES = (
    "imports",
    "hello",
    "steps",
    "versions",
    "large_file",
    "medium_files",
    "pictures",
    "small_files",
    "download",
    "lineage",
    "large_homes",
    "manifest",
    "memory",
    "gc",
    "sweeps",
    "references",
    "trackio",
)
"""Modules of `cases`, in the order in which they are run: the many files come last."""
RUNS = 5


def main() -> int:
    options = _options()
    root = tempfile.mkdtemp(prefix="lineal-bench-", dir=options.dir or _local_folder())
    bench = Bench(
        root,
        runs=1 if options.quick else options.runs,
        is_quick=options.quick,
        is_full=options.full,
    )
    named: list[tuple[str, Result]] = []
    failed: list[str] = []
    try:
        for name in options.names or NAMES:
            began = time.monotonic()
            try:
                for result in importlib.import_module(f"benchmarks.cases.{name}").measure(bench):
                    named.append((name, result))
            except Exception:  # what the others measured is worth having
                traceback.print_exc()
                failed.append(name)
            sys.stderr.write(f"{name}: {time.monotonic() - began:.0f} s\n")
    finally:
        if options.keep:
            sys.stderr.write(f"kept {root}\n")
        else:
            shutil.rmtree(root)
    print(table(named, judges=not options.quick))
    if failed:
        print(f"\nFailed: {', '.join(failed)}")
    if options.json:
        with open(options.json, "w", encoding="utf-8") as file:
            json.dump(
                [{"case": name, **result.as_json()} for name, result in named], file, indent=1
            )
    is_over = any(result.is_within is False for _, result in named)
    return int(bool(failed) or (is_over and not options.quick))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(NAMES))
    parser.add_argument("--runs", type=int, default=RUNS, help="pairs per case (%(default)s)")
    parser.add_argument("--quick", action="store_true", help="small inputs, once; no verdicts")
    parser.add_argument("--full", action="store_true", help="memory with 1,000,000 files")
    parser.add_argument("--json", metavar="FILE", help="write the results there, too")
    parser.add_argument("--dir", metavar="FOLDER", help="local disk to work on, 40 GB free")
    parser.add_argument("--keep", action="store_true", help="leave the files where they are")
    options = parser.parse_args()
    unknown = sorted(set(options.names) - set(NAMES))
    if unknown:
        parser.error(f"no benchmark is named {unknown[0]}; there are {', '.join(NAMES)}")
    return options


def _local_folder() -> str:
    """Return the folder for temporary files, unless it is another file system (memory, mostly)."""
    temporary = tempfile.gettempdir()
    return temporary if os.stat(temporary).st_dev == os.stat(os.curdir).st_dev else os.curdir


if __name__ == "__main__":
    sys.exit(main())
