"""Source files worth keeping with a run, and those that must not leave (COD-3, COD-6).

Ignore files (`.gitignore`, `.linealignore`) are honoured in every folder, up to the top of the work
tree it is in; environments, caches, Lineal's and W&B's own folders and large files are skipped;
files that look like secrets are refused, and that is said.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from lineal.client.capture import git, notebook
from lineal.client.values import text
from lineal.config import absolute_path
from lineal.core.file_paths import entry_path, local_path
from lineal.errors import HostilePath
from lineal.files.folders import walk
from lineal.files.refusals import access_to

FILE_MAX_BYTES = 10 * 1024 * 1024
SECRET_SCAN_BYTES = 1024 * 1024
"""How much of a file is looked through at once."""
SECRET_OVERLAP_BYTES = 4096
"""What the next piece sees again of the one before: more than any secret of `_SECRET_CONTENT`."""
IGNORE_FILES = (".gitignore", ".linealignore")
SKIPPED_FOLDERS = frozenset(
    [
        ".git",
        ".hg",
        ".svn",
        "__pycache__",
        ".venv",
        "venv",
        "env",
        "node_modules",
        ".mypy_cache",
        ".ruff_cache",
        ".pytest_cache",
        ".ipynb_checkpoints",
        ".tox",
        ".nox",
        ".eggs",
        "site-packages",
        ".lineal",
        ".wandb",
    ]
)
OWN_FOLDERS = frozenset(("wandb", "lineal", "artifacts"))
"""Where runs and downloads go; skipped unless they are Python packages of the user's."""
SOURCE_NAMES = frozenset(
    ("requirements.txt", "environment.yml", "pyproject.toml", "setup.cfg", "Dockerfile", "Makefile")
)
_SECRET_NAMES = re.compile(
    r"(\.env(\..*)?|\.netrc|\.pypirc|id_(rsa|dsa|ecdsa|ed25519)|.*\.(pem|p12|pfx|key|keystore)"
    r"|credentials(\.json)?|secrets?\.(json|ya?ml|toml|ini|py))",
    re.IGNORECASE,
)
_SECRET_CONTENT = re.compile(
    rb"-----BEGIN [A-Z ]*PRIVATE KEY-----|\bA[KS]IA[0-9A-Z]{16}\b|\bgh[pousr]_[A-Za-z0-9]{36,}\b"
    rb"|\bsk-[A-Za-z0-9_-]{40,}\b|\bxox[abprs]-[A-Za-z0-9-]{20,}\b|\bgithub_pat_[A-Za-z0-9_]{60,}\b"
    rb"|\bglpat-[A-Za-z0-9_-]{20,}|\bhf_[A-Za-z0-9]{34,}\b|\bAIza[A-Za-z0-9_-]{35}(?![A-Za-z0-9_-])"
    rb"|\bpypi-AgE[A-Za-z0-9_-]{50,}|\bwandb_v1_[A-Za-z0-9_]{40,}\b"
    # 40 hexadecimal digits alone are a commit; with these words in front, W&B's key or the like
    rb"|(?i:api_?key|login)\b[^\n]{0,20}?\b[0-9a-f]{40}\b"
    rb"|(?i:aws_secret_access_key)\W{1,6}[A-Za-z0-9/+]{40}(?![A-Za-z0-9/+])"
)
_DIFF_NAME = re.compile(rb'^diff --git .*?([^/\s"]+)"?$', re.MULTILINE)
"""The last part of a changed file's path, whatever git puts in front (`diff.noprefix`)."""

Predicate = Callable[..., bool]
"""Takes the absolute path, or path and root, as W&B's include_fn and exclude_fn do."""


@dataclass
class Selection:
    """What would be logged of a tree, and what was left out for a reason worth telling."""

    root: str
    files: list[tuple[str, str]] = field(default_factory=list)
    """(path in the artifact, absolute path), sorted."""
    secrets: list[str] = field(default_factory=list)
    too_large: list[str] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)
    """What is said of folders that cannot be listed."""
    unnameable: list[str] = field(default_factory=list)
    """What is said of files that no artifact can have under their names."""


def select(
    root: str, include: Predicate | None = None, exclude: Predicate | None = None
) -> Selection:
    """Choose the source files below a folder; Python files and the like unless `include` says."""
    selection = Selection(absolute_path(local_path(root)))
    for relative, path in _unignored(selection):
        wanted = _ask(include, path, selection.root) if include else _is_source(relative)
        if not wanted or (exclude and _ask(exclude, path, selection.root)):
            continue
        if _size(path) > FILE_MAX_BYTES:
            selection.too_large.append(relative)
        elif looks_secret(path):
            selection.secrets.append(relative)
        else:
            try:
                selection.files.append((entry_path(relative), path))
            except HostilePath as error:
                selection.unnameable.append(error.message)
    selection.files.sort()
    return selection


def _size(path: str) -> int:
    try:
        return os.path.getsize(path)
    except OSError:
        return 0  # it is gone by now: whoever adds it says so


def looks_secret(path: str) -> bool:
    """Tell whether a file's name, or anything in it, looks like a key, token or password."""
    if _SECRET_NAMES.fullmatch(os.path.basename(path)):
        return True
    seen = b""
    try:
        with open(path, "rb") as file:
            while piece := file.read(SECRET_SCAN_BYTES):
                seen = seen[-SECRET_OVERLAP_BYTES:] + piece
                if holds_secret(seen):
                    return True
    except OSError:
        return False
    return False


def holds_secret(content: bytes) -> bool:
    """Tell whether anything in it looks like a key, token or password."""
    return _SECRET_CONTENT.search(content) is not None


def diff_holds_secret(diff: bytes) -> bool:
    """Tell whether any line of a git diff, or the name of a file in it, looks like a secret."""
    names = (found[1].decode(errors="replace") for found in _DIFF_NAME.finditer(diff))
    return holds_secret(diff) or any(_SECRET_NAMES.fullmatch(name) for name in names)


def main_script(program: str | None) -> tuple[str, str] | None:
    """Return (path to store it under, local path) of the main script or notebook (COD-2)."""
    path = notebook.path() or program
    if path is None or not os.path.isfile(path):
        return None
    relative = os.path.relpath(path)
    if relative.startswith(".."):
        relative = os.path.basename(path)
    return "code/" + text(relative).replace(os.sep, "/"), os.path.abspath(path)


def _is_source(relative: str) -> bool:
    return relative.endswith(".py") or os.path.basename(relative) in SOURCE_NAMES


def _ask(predicate: Predicate, path: str, root: str) -> bool:
    code = getattr(predicate, "__code__", None)
    wants_root = (
        code is not None and code.co_argcount - (1 if hasattr(predicate, "__self__") else 0) >= 2
    )
    return bool(predicate(path, root) if wants_root else predicate(path))


def _unignored(selection: Selection) -> Iterator[tuple[str, str]]:
    """Yield (relative path, path) of the files that no rule excludes, of links as of files."""
    rules: dict[str, list[tuple[str, Any]]] = {}
    root, unreadable = selection.root, selection.unreadable
    outer = _rules_above(root)
    walked = walk(root, skipped=lambda error: unreadable.append(error.message))
    for below, folders, names in walked:
        folder = os.path.dirname(os.path.join(root, below))
        above = rules.get(os.path.dirname(folder), []) if below else outer
        here = rules[folder] = above + _ignore_rules(folder, names)
        folders[:] = sorted(
            name
            for name in folders
            if not _is_skipped(folder, name)
            and not _is_ignored(os.path.join(folder, name) + "/", here)
        )
        for name in names:
            path = os.path.join(folder, name)
            if os.path.isfile(path) and not _is_ignored(path, here):
                yield below + name, path


def _is_skipped(folder: str, name: str) -> bool:
    path = os.path.join(folder, name)
    if name in OWN_FOLDERS:
        return not os.path.exists(os.path.join(path, "__init__.py"))
    return name in SKIPPED_FOLDERS or os.path.exists(os.path.join(path, "pyvenv.cfg"))


def _ignore_rules(folder: str, names: list[str]) -> list[tuple[str, Any]]:
    return _specs(folder, [name for name in IGNORE_FILES if name in names])


def _specs(folder: str, names: Iterable[str]) -> list[tuple[str, Any]]:
    """Read the files of these names that are there as rules for the folder."""
    found = [name for name in names if os.path.isfile(os.path.join(folder, name))]
    if not found:
        return []
    from pathspec import GitIgnoreSpec  # 14 ms, and only trees with ignore files need it

    lines: list[str] = []
    for name in found:
        path = os.path.join(folder, name)
        with access_to(path), open(path, encoding="utf-8", errors="replace") as file:
            lines += file.read().splitlines()
    return [(folder, GitIgnoreSpec.from_lines(line for line in lines if _is_pattern(line)))]


def _rules_above(root: str) -> list[tuple[str, Any]]:
    """Return what the work tree around a folder says of what is in it, the weakest first.

    None of it where the folder itself is ignored there: somebody asked for it by name.
    """
    top = git.find_root(root)
    if top is None:
        return []
    rules = _specs(top, [os.path.join(".git", "info", "exclude")])
    folder = top
    for part in os.path.relpath(root, top).split(os.sep):
        if part != os.curdir:
            rules += _specs(folder, IGNORE_FILES)
            folder = os.path.join(folder, part)
    return [] if _is_ignored(root + "/", rules) else rules


def _is_pattern(line: str) -> bool:
    """Say whether a line of an ignore file can be read; git, too, leaves out others."""
    from pathspec import GitIgnoreSpec

    try:
        GitIgnoreSpec.from_lines([line])
    except ValueError:
        return False
    return True


def _is_ignored(path: str, rules: list[tuple[str, Any]]) -> bool:
    """Ask the rules of the nearest folder first; the first that says anything decides."""
    for folder, spec in reversed(rules):
        below = path[len(folder.rstrip(os.sep)) + 1 :]  # the root of all, too
        verdict = spec.check_file(below).include
        if verdict is not None:
            return bool(verdict)
    return False
