"""What a plan and a proof say of themselves."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from lineal.core.gc import Amount, CleanupPlan, Failure, Kept, Proof, Reason, VersionsStep

NOW = datetime(2026, 1, 1, tzinfo=UTC)
NOTHING = CleanupPlan(
    made_at=NOW,
    expire=VersionsStep(),
    release=VersionsStep(),
    runs=0,
    drafts=0,
    manifests=0,
    segments=0,
    condemn=Amount(),
    delete=Amount(),
    strays=Amount(),
    kept=(),
)
ONE = VersionsStep(Amount(1, 8))


@pytest.mark.parametrize(
    "does",
    [
        *({step: ONE} for step in ("expire", "release")),
        *({step: 1} for step in ("runs", "drafts", "manifests", "segments")),
        *({step: Amount(1)} for step in ("condemn", "delete", "strays")),
    ],
)
def test_a_plan_is_empty_only_if_no_step_has_anything_to_do(does: dict[str, Any]) -> None:
    assert replace(NOTHING, fresh_strays=Amount(1, 1), foreign=("README",)).is_empty
    assert not replace(NOTHING, **does).is_empty


def test_what_a_plan_frees_and_keeps_is_the_sum_of_its_parts() -> None:
    kept = Kept(Reason.LIVE, Amount(1, 10)), Kept(Reason.UNDO, Amount(1, 20))
    plan = replace(
        NOTHING,
        condemn=Amount(1, 1),
        delete=Amount(1, 2),
        strays=Amount(1, 4),
        kept=kept,
        fresh_strays=Amount(1, 40),
    )
    assert (plan.freed_bytes, plan.kept_bytes) == (7, 70)


def test_a_proof_is_complete_only_if_nothing_stayed_for_whatever_reason() -> None:
    proof = Proof("x", NOW, versions=(), removed=(), removed_bytes=0)
    assert proof.is_complete
    assert not replace(proof, kept_total=Amount(1, 0)).is_complete
    assert not replace(proof, failures=(Failure("key", "why"),)).is_complete
