"""Random histories against a model: nothing that lives is lost, and nothing dead stays."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from datetime import datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from lineal.blobs.local import LocalStore
from lineal.core.access import Actor, Role
from lineal.core.digest import Digest, of_bytes
from lineal.core.full_names import ArtifactPath
from lineal.core.records import DraftId, MembershipId, RunKey, RunSpec, VersionId, VersionPatch
from lineal.core.retention import Selection
from lineal.errors import Conflict, Gone
from lineal.service import (
    artifacts,
    catalog,
    deletion,
    gc,
    purge,
    restoring,
    retention,
    run_files,
    runs,
    strays,
    transfers,
    ttl,
)
from lineal.service.verify import verify
from tests.conftest import MovableClock
from tests.gc.crashes import Crash, Crashes, CrashingStore
from tests.gc.databases import Databases, memory, open_on
from tests.gc.model import DRAFT_TTL, PROTECTED, Draft, Model, Run, Version
from tests.service.drafts import draft, send

OWNER = Actor("ana", Role.OWNER)
CONTENTS = [b"", b"1", b"22", b"333", b"4444", b"55555"]
FILES = st.dictionaries(st.sampled_from("abc"), st.sampled_from(CONTENTS), min_size=1)
COLLECTIONS = st.sampled_from(["one", "two"])
STEPS = st.integers(0, 40)
HOURS = st.sampled_from([5.12, 26.21, 80.49, 170.3])
"""None of their sums is a whole number of days, so that nothing ends exactly when it is asked."""
numbers = count()


class Histories(RuleBasedStateMachine):
    """One instance, one model; `databases` is set by whoever runs it."""

    databases: Databases

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="lineal-gc-", dir=memory()))
        self.clock = MovableClock()
        # files carry the time of the machine, so the story begins then
        self.clock.moment = datetime.now(self.clock.moment.tzinfo)
        self.crashes = Crashes()
        self.url = self.databases.fresh()
        store = CrashingStore(LocalStore(str(self.folder / "home" / "blobs")), self.crashes)
        self.instance = open_on(self.url, self.folder / "home", self.clock, store=store)
        self.crashes.watch(self.instance.database)
        self.model = Model()
        self.log("one", {"a": b"1"})
        retention.protect_aliases(self.instance, OWNER, "ana", "vision", [PROTECTED])

    def teardown(self) -> None:
        self.clock.move(days=30)
        self.gc()
        self.instance.close()
        self.databases.drop(self.url)
        shutil.rmtree(self.folder)

    # --- logging ---

    @rule(collection=COLLECTIONS, files=FILES)
    def log(self, collection: str, files: dict[str, bytes]) -> None:
        id = self._begin(collection, files)
        if id is not None:
            self._send(id, files)
            self._commit(id)

    @rule(collection=COLLECTIONS, files=FILES, after=STEPS)
    def log_and_crash(self, collection: str, files: dict[str, bytes], after: int) -> None:
        self._crashing(after, lambda: self.log(collection, files))

    @rule(collection=COLLECTIONS, files=FILES)
    def begin(self, collection: str, files: dict[str, bytes]) -> None:
        self._begin(collection, files)

    @precondition(lambda self: self.model.drafts)
    @rule(data=st.data(), confirms=st.booleans())
    def send_one(self, data: st.DataObject, confirms: bool) -> None:
        found = data.draw(st.sampled_from(sorted(self.model.drafts)))
        uploads = self._unless_gone(
            found, lambda: list(transfers.missing_blobs(self.instance, OWNER, DraftId(found)))
        )
        if not uploads:
            return
        upload = uploads[0]
        content = {of_bytes(content): content for content in CONTENTS}[upload.digest]
        self.instance.store.put_bytes(upload.key, content)
        if confirms:
            self._unless_gone(
                found, lambda: transfers.confirm(self.instance, OWNER, DraftId(found), [upload])
            )

    @precondition(lambda self: self.model.drafts)
    @rule(data=st.data(), completes=st.booleans())
    def commit(self, data: st.DataObject, completes: bool) -> None:
        found = self.model.drafts[data.draw(st.sampled_from(sorted(self.model.drafts)))]
        if completes:
            self._unless_gone(found.id, lambda: self._send(found.id, found.files))
        if found.id in self.model.drafts:
            try:
                self._unless_gone(found.id, lambda: self._commit(found.id))
            except Conflict:
                assert not completes

    @rule(id=st.integers(1, 12), after=STEPS)
    def remove_surplus(self, id: int, after: int) -> None:
        """Of a draft that is committed, or open, expired, or not there; it may die meanwhile."""
        self._crashing(after, lambda: strays.remove_surplus(self.instance, OWNER, DraftId(id)))

    def _begin(self, collection: str, files: dict[str, bytes]) -> int | None:
        now = self.clock.moment
        spec, segments = draft(files, collection=collection)
        begun = artifacts.begin(self.instance, OWNER, spec, segments)
        if begun.version is not None:  # the same content is a version already
            known = self.model.versions[begun.version.id]
            assert (known.is_live, known.collection, known.files) == (True, collection, files)
            return None
        expires_at = now + DRAFT_TTL
        self.model.drafts[begun.draft] = Draft(begun.draft, collection, files, expires_at)
        return begun.draft

    def _send(self, id: int, files: dict[str, bytes]) -> None:
        send(self.instance, OWNER, id, files, self.folder, in_pack=id % 2 == 0)

    def _commit(self, id: int) -> None:
        done = artifacts.commit(self.instance, OWNER, DraftId(id))
        found = self.model.drafts.pop(id)
        version = done.version
        assert version is not None
        if not done.is_new:
            known = self.model.versions[version.id]
            assert (known.is_live, known.files) == (True, found.files)
            return
        self.model.versions[version.id] = Version(
            version.id,
            version.membership_id,
            found.collection,
            version.number,
            found.files,
            version.created_at,
        )

    def _unless_gone(self, id: int, act: Callable[[], Any]) -> Any:
        """Do something with a draft; it may say Gone exactly when the draft has expired."""
        is_over = self.model.drafts[id].expires_at <= self.clock.moment
        try:
            result = act()
        except Gone:
            assert is_over
            del self.model.drafts[id]
            return None
        assert not is_over
        return result

    # --- what is written on versions ---

    @precondition(lambda self: self.model.live())
    @rule(data=st.data(), alias=st.sampled_from(["best", PROTECTED]))
    def alias(self, data: st.DataObject, alias: str) -> None:
        version = self._draw_live(data)
        patch = VersionPatch(aliases_added=(alias,), tags_added=("seen",))
        catalog.update_version(self.instance, OWNER, MembershipId(version.membership), patch)
        self.model.put_alias(version, alias)

    @precondition(lambda self: any(version.aliases for version in self.model.live()))
    @rule(data=st.data())
    def take_aliases(self, data: st.DataObject) -> None:
        version = self._draw_live(data, lambda version: bool(version.aliases))
        patch = VersionPatch(aliases_removed=tuple(sorted(version.aliases)))
        catalog.update_version(self.instance, OWNER, MembershipId(version.membership), patch)
        version.aliases.clear()

    @precondition(lambda self: self.model.live())
    @rule(data=st.data())
    def link(self, data: st.DataObject) -> None:
        version = self._draw_live(data)
        target = ArtifactPath("ana", "registry", "models")
        linked = catalog.link_version(self.instance, OWNER, VersionId(version.id), target, ())
        version.link = linked.membership_id

    @precondition(lambda self: any(version.link for version in self.model.live()))
    @rule(data=st.data())
    def unlink(self, data: st.DataObject) -> None:
        version = self._draw_live(data, lambda version: version.link is not None)
        catalog.unlink_version(self.instance, OWNER, MembershipId(version.link or 0))
        version.link, version.unlinked_at = None, self.clock.moment

    @precondition(lambda self: self.model.live())
    @rule(data=st.data(), hours=st.sampled_from([None, 12, 48, 120]))
    def ttl(self, data: st.DataObject, hours: int | None) -> None:
        version = self._draw_live(data)
        ttl.set_version_ttl(
            self.instance, OWNER, MembershipId(version.membership), 3600 * (hours or 0)
        )
        version.ttl = timedelta(hours=hours) if hours else None

    @rule(keep_last=st.sampled_from([None, 1, 2]))
    def policy(self, keep_last: int | None) -> None:
        selection = None if keep_last is None else Selection(keep_last=keep_last)
        retention.set_policy(self.instance, OWNER, "ana", "vision", None, selection)
        self.model.keep_last = keep_last

    # --- deleting ---

    @precondition(lambda self: self.model.live())
    @rule(data=st.data())
    def delete(self, data: st.DataObject) -> None:
        version = self._draw_live(data)
        membership = MembershipId(version.membership)
        try:
            deletion.delete_version(self.instance, OWNER, membership, delete_aliases=True)
        except Conflict:
            assert version.is_kept
        else:
            assert not version.is_kept
            self.model.delete(version, self.clock.moment)

    @precondition(lambda self: any(not version.is_live for version in self.model.versions.values()))
    @rule(data=st.data())
    def restore(self, data: st.DataObject) -> None:
        deleted = [id for id, version in self.model.versions.items() if not version.is_live]
        version = self.model.versions[data.draw(st.sampled_from(deleted))]
        where = ArtifactPath("ana", "vision", version.collection, f"v{version.number}")
        try:
            restoring.restore_version(self.instance, OWNER, where)
        except Gone:
            assert version.is_released
        else:
            assert not version.is_released
            self._learn_aliases()  # an alias that comes back leaves the one that has it now
            self.model.restore(version, self._aliases_of(version), self.clock.moment)

    @precondition(lambda self: self.model.live())
    @rule(data=st.data())
    def purge(self, data: st.DataObject) -> None:
        version = self._draw_live(data)
        where = ArtifactPath("ana", "vision", version.collection, f"v{version.number}")
        try:
            proof = purge.purge(self.instance, OWNER, where)
        except Conflict:
            assert version.is_kept
            return
        assert not version.is_kept
        assert not proof.failures
        self.model.delete(version, self.clock.moment)
        version.is_released = True
        self.model.release(self.clock.moment)

    # --- runs ---

    @rule(path=st.sampled_from("xy"), content=st.sampled_from(CONTENTS))
    def put_run_file(self, path: str, content: bytes) -> None:
        live = [run for run in self.model.runs.values() if run.deleted_at is None]
        if live:
            run = live[0]
        else:
            run_id = f"run{next(numbers)}"
            key = runs.start(self.instance, OWNER, RunSpec("ana", "vision", run_id)).run.key
            run = self.model.runs[key] = Run(key, run_id)
        source = self.folder / f"file{next(numbers)}"
        source.write_bytes(content)
        run_files.put(self.instance, OWNER, RunKey(run.key), [(path, str(source))])
        run.files[path] = content

    @precondition(lambda self: any(run.deleted_at is None for run in self.model.runs.values()))
    @rule()
    def delete_run(self) -> None:
        run = next(run for run in self.model.runs.values() if run.deleted_at is None)
        deletion.delete_run(self.instance, OWNER, RunKey(run.key))
        run.deleted_at = self.clock.moment

    @precondition(lambda self: any(run.deleted_at for run in self.model.runs.values()))
    @rule(data=st.data())
    def restore_run(self, data: st.DataObject) -> None:
        keys = [key for key, run in self.model.runs.items() if run.deleted_at is not None]
        run = self.model.runs[data.draw(st.sampled_from(keys))]
        try:
            restoring.restore_run(self.instance, OWNER, "ana", "vision", run.run_id)
        except Gone:
            assert run.is_released
        else:
            assert not run.is_released
            run.deleted_at = None

    # --- time and the sweep ---

    @rule(hours=HOURS)
    def move_the_clock(self, hours: float) -> None:
        self.clock.move(hours=hours)

    @rule()
    def gc(self) -> None:
        plan = gc.plan(self.instance, OWNER)
        swept = gc.sweep(self.instance, OWNER)
        self.model.sweep(self.clock.moment)
        assert (swept.is_complete, swept.failed) == (True, 0)
        assert (swept.expired, swept.released) == (
            plan.expire.total.count,
            plan.release.total.count,
        )
        # what a draft brought in two packs, as after a crash, counts once in the plan
        assert plan.freed_bytes <= swept.freed_bytes
        assert gc.plan(self.instance, OWNER).is_empty
        self._disk_is_exact()

    @rule(after=STEPS)
    def gc_and_crash(self, after: int) -> None:
        self._crashing(after, lambda: gc.sweep(self.instance, OWNER))
        gc.sweep(self.instance, OWNER)  # what died is finished by the next
        self.model.sweep(self.clock.moment)
        self._disk_is_exact()

    def _disk_is_exact(self) -> None:
        """Compare what is in the store with what is needed, byte for byte."""
        needed, in_drafts = self.model.needed(), self.model.in_drafts()
        stored = self._stored()
        assert {of_bytes(content) for content in needed} <= stored.keys()
        assert stored.keys() <= {of_bytes(content) for content in needed | in_drafts}
        files = {file.key: file.size for file in self.instance.store.walk()}
        if not in_drafts:
            assert sorted(files.values()) == sorted(stored.values())
            assert sum(files.values()) == sum(len(content) for content in needed)

    # --- always ---

    @invariant()
    def what_lives_is_whole(self) -> None:
        assert list(verify(self.instance, OWNER)) == []
        for version in self.model.live():
            found = transfers.manifest(self.instance, OWNER, VersionId(version.id))
            digests = {of_bytes(content): content for content in version.files.values()}
            places = transfers.locate(self.instance, OWNER, VersionId(version.id), list(digests))
            assert found.entry_count == len(version.files)
            for digest, content in digests.items():
                with self.instance.store.open(places[digest].key) as file:
                    assert file.read() == content

    @invariant()
    def deleted_is_what_was_deleted(self) -> None:
        for version in self.model.versions.values():
            found = catalog.version_by_id(self.instance, OWNER, VersionId(version.id))
            assert (found.deleted_at is None) == version.is_live
            assert (found.released_at is not None) == version.is_released

    # --- small steps ---

    def _draw_live(
        self, data: st.DataObject, which: Callable[[Version], bool] = lambda _version: True
    ) -> Version:
        ids = [version.id for version in self.model.live() if which(version)]
        return self.model.versions[data.draw(st.sampled_from(ids))]

    def _crashing(self, after: int, act: Callable[[], object]) -> None:
        self.crashes.arm(after)
        try:
            act()
        except Crash:
            return
        finally:
            self.crashes.disarm()

    def _stored(self) -> dict[Digest, int]:
        from sqlalchemy import select

        from lineal.db.schema import blobs

        query = select(blobs.c.digest, blobs.c.size_bytes).where(blobs.c.state == "stored")
        with self.instance.database.reading() as connection:
            return {Digest(row[0]): row[1] for row in connection.execute(query)}

    def _learn_aliases(self) -> None:
        """Which aliases come back is the business of the tests of deletion."""
        for version in self.model.live():
            version.aliases = self._aliases_of(version)

    def _aliases_of(self, version: Version) -> set[str]:
        found = catalog.version_by_id(self.instance, OWNER, VersionId(version.id))
        return set(found.aliases) - {"latest"}
