"""Making sweeps and reading their trials, for the tests of agents."""

from __future__ import annotations

from typing import Any

import lineal
from lineal.client.sweep import sweep as sweeps
from lineal.config import load

RANDOM: dict[str, Any] = {
    "method": "random",
    "metric": {"name": "loss"},
    "parameters": {"x": {"min": 0.0, "max": 1.0}, "net": {"parameters": {"k": {"value": 3}}}},
    "run_cap": 3,
}


def make(document: dict[str, Any]) -> str:
    return f"p/{lineal.sweep(document, project='p')}"


def trials(path: str) -> list[Any]:
    return sweeps.all_trials(*sweeps.find(load(), path))
