"""Plan: what the next sweep would do, what stays and for whom."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from lineal.core.access import Actor
from lineal.core.gc import Amount, Reason
from lineal.core.records import MembershipId
from lineal.core.retention import Selection
from lineal.service import artifacts, catalog, gc, retention, transfers, ttl
from lineal.service.instance import Instance
from tests.conftest import MovableClock
from tests.service.drafts import draft, log, send


def test_a_plan_names_what_expires_and_changes_nothing(
    instance: Instance, owner: Actor, clock: MovableClock, tmp_path: Path
) -> None:
    version = log(instance, owner, tmp_path, {"a": b"123"})
    ttl.set_version_ttl(instance, owner, MembershipId(version.membership_id), 3600)
    clock.move(hours=2)
    plan = gc.plan(instance, owner)
    assert [doomed.name for doomed in plan.expire.versions] == ["ana/vision/data:v0"]
    assert (plan.expire.total, plan.freed_bytes) == (Amount(1, 3), 0)
    assert catalog.version_by_id(instance, owner, version.id).deleted_at is None


def test_a_plan_counts_what_policies_let_go_once_the_expired_are_gone(
    instance: Instance, owner: Actor, clock: MovableClock, tmp_path: Path
) -> None:
    versions = [log(instance, owner, tmp_path, {"a": text}) for text in (b"0", b"1", b"2")]
    ttl.set_version_ttl(instance, owner, MembershipId(versions[2].membership_id), 3600)
    retention.set_policy(instance, owner, "ana", "vision", None, Selection(keep_last=1))
    clock.move(hours=2)
    planned = gc.plan(instance, owner).expire
    assert [each.name for each in planned.versions] == ["ana/vision/data:v0", "ana/vision/data:v2"]
    assert gc.sweep(instance, owner).expired == planned.total.count == 2
    assert catalog.version_by_id(instance, owner, versions[1].id).deleted_at is None


def test_of_what_expires_others_are_named_that_share_its_content(
    instance: Instance, owner: Actor, clock: MovableClock, tmp_path: Path
) -> None:
    files = {"s": b"1234", "own": b"567"}
    one = log(instance, owner, tmp_path, files, collection="one")
    log(instance, owner, tmp_path, {"s": b"1234"}, collection="two")
    log(instance, owner, tmp_path, {"t": b"not shared"}, collection="three")
    ttl.set_version_ttl(instance, owner, MembershipId(one.membership_id), 3600)
    clock.move(hours=2)
    at_once = replace(instance, undo_period=timedelta(0))
    (doomed,) = gc.plan(at_once, owner).expire.versions
    assert (doomed.name, doomed.shared_with) == ("ana/vision/one:v0", ("ana/vision/two:v0",))
    assert (doomed.size_bytes, doomed.freed_bytes, doomed.shared_bytes) == (7, 3, 4)
    (doomed,) = gc.plan(instance, owner).expire.versions  # it may come back, and its own stays
    assert (doomed.shared_with, doomed.freed_bytes) == (("ana/vision/two:v0",), 0)


def test_what_a_draft_sent_is_kept_for_it_until_it_expires(
    instance: Instance, owner: Actor, clock: MovableClock, tmp_path: Path
) -> None:
    begun = artifacts.begin(instance, owner, *draft({"d": b"12"}))
    expires_at = clock.now() + instance.draft_ttl
    send(instance, owner, begun.draft, {"d": b"12"}, tmp_path)
    sent = list(transfers.missing_blobs(instance, owner, begun.draft))
    transfers.confirm(instance, owner, begun.draft, sent)
    (kept,) = gc.plan(instance, owner).kept
    assert (kept.reason, kept.blobs) == (Reason.DRAFT, Amount(1, 2))
    assert kept.until is not None
    assert abs(kept.until - expires_at) < timedelta(seconds=1)
    clock.move(hours=73)
    plan = gc.plan(instance, owner)
    assert (plan.kept, plan.drafts, plan.condemn) == ((), 1, Amount(1, 2))
