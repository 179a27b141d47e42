"""The rooms of the house: imports point down, in every commit."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
NUMBERS = {"deletion.id"}
"""What a shell takes as it is."""


def test_imports_point_down() -> None:
    program = "from importlinter.cli import lint_imports_command; lint_imports_command()"
    done = subprocess.run(
        [sys.executable, "-c", program, "--no-cache"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 broken" in done.stdout


def test_commands_that_messages_suggest_can_be_pasted() -> None:
    """Names may hold spaces and quotes: `lineal run show {name}` must be quoted for the shell."""
    unquoted = [
        f"{source.name}: {message}"
        for source in sorted((ROOT / "src").rglob("*.py"))
        for text in ast.walk(ast.parse(source.read_text("utf-8")))
        if isinstance(text, ast.JoinedStr)
        and re.search("(?:^|`)lineal [a-z][^`]*{", message := "".join(map(_part, text.values)))
    ]
    assert unquoted == []


def _part(part: ast.expr) -> str:
    """Return a part of an f-string as it is written; without braces if a shell takes it."""
    if isinstance(part, ast.Constant):
        return str(part.value)
    assert isinstance(part, ast.FormattedValue)
    value = ast.unparse(part.value)
    is_safe = value.startswith("shlex.quote(") or value in NUMBERS
    return value if is_safe else f"{{{value}}}"
