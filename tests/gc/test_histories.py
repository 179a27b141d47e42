"""The state machine, on SQLite and PostgreSQL.

`LINEAL_TEST_EXAMPLES` and `LINEAL_TEST_STEPS` make it longer.
"""

from __future__ import annotations

import os

from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.gc.databases import Databases
from tests.gc.machine import Histories

EXAMPLES = int(os.environ.get("LINEAL_TEST_EXAMPLES", "25"))
STEPS = int(os.environ.get("LINEAL_TEST_STEPS", "20"))


def test_whatever_happens_nothing_live_is_lost_and_nothing_dead_stays(databases: Databases) -> None:
    machine = type("Histories", (Histories,), {"databases": databases})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=STEPS,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            phases=(Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink),
        ),
    )
