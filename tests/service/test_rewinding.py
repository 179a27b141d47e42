"""Rewinding: the run goes back, and what it was lives on under another id (RUN-19)."""

from __future__ import annotations

import json
from collections.abc import Iterable
from itertools import count
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lineal.core.access import Actor, Role
from lineal.core.digest import of_bytes
from lineal.core.manifest import Entry, build_segments, manifest_head
from lineal.core.records import (
    DraftSpec,
    EdgeKind,
    Lines,
    PageRequest,
    RunKey,
    RunQuery,
    RunRecord,
    RunSpec,
    RunState,
    Stream,
    VersionId,
)
from lineal.errors import Denied, Gone, Invalid, NotFound, RunNotFoundError
from lineal.service import artifacts, deletion, history, lineage, rewinding, run_files, runs
from lineal.service.instance import Instance
from tests.conftest import MovableClock

ALL = PageRequest(1000)


@pytest.fixture
def run(instance: Instance, owner: Actor) -> RunRecord:
    spec = RunSpec("ana", "p", "r1", name="first", tags=("a",), config={"lr": 1}, sweep_id="s")
    return runs.start(instance, owner, spec).run


class World:
    """One run, seen and changed as its owner."""

    def __init__(self, instance: Instance, owner: Actor, run: RunRecord) -> None:
        self.instance, self.owner, self.key = instance, owner, run.key

    def log(self, steps: Iterable[int], *, writer: str = "w", first_offset: int = 0) -> None:
        lines = [row(step) for step in steps]
        self.append(Lines(Stream.HISTORY, writer, first_offset, lines))

    def append(self, *batches: Lines) -> None:
        history.append(self.instance, self.owner, self.key, batches)

    def rewind(self, step: int, **summary: Any) -> RunRecord:
        return rewinding.rewind(self.instance, self.owner, self.key, step, summary)

    def lines(self, run: RunKey | None = None, stream: Stream = Stream.HISTORY) -> list[Any]:
        found = history.read(self.instance, self.owner, run or self.key, stream)
        return [json.loads(line) for line in found]

    def steps(self, run: RunKey | None = None) -> list[int]:
        return [line["_step"] for line in self.lines(run)]

    def record(self) -> RunRecord:
        return runs.run_by_key(self.instance, self.owner, self.key)

    def runs(self) -> list[RunRecord]:
        return list(runs.runs(self.instance, self.owner, RunQuery("ana", "p"), ALL).items)

    def archive(self) -> RunRecord:
        archive_id = self.record().config["_lineal"]["forked_from"].partition("?")[0]
        return runs.run(self.instance, self.owner, "ana", "p", archive_id)

    def version(self, name: str, history_step: int | None, run: RunKey | None = None) -> VersionId:
        """Log a version that holds one reference."""
        entry = Entry("data", of_bytes(name.encode()), 0, ref=f"file:///{name}")
        segments = list(build_segments([entry]))
        spec = DraftSpec(
            client_id=f"draft of {name} by {run}",
            entity="ana",
            project="p",
            collection=name,
            type="dataset",
            manifest=manifest_head([segment.head for segment in segments]),
            run=run or self.key,
            history_step=history_step,
        )
        begun = artifacts.begin(self.instance, self.owner, spec, segments)
        if begun.version is not None:
            return begun.version.id
        version = artifacts.commit(self.instance, self.owner, begun.draft).version
        assert version is not None
        return version.id

    def versions(self, run: RunKey, kind: EdgeKind) -> list[str]:
        page = lineage.versions_of(self.instance, self.owner, run, kind, ALL)
        return [version.name for version in page.items]


def row(step: int) -> bytes:
    return json.dumps({"loss": step, "_step": step, "_timestamp": float(step)}).encode()


@pytest.fixture
def world(instance: Instance, owner: Actor, run: RunRecord) -> World:
    return World(instance, owner, run)


def test_the_run_keeps_its_id_and_its_history_up_to_the_step(world: World) -> None:
    world.log(range(10))
    rewound = world.rewind(3, loss=3, _runtime=7.5)
    assert (rewound.key, rewound.run_id, rewound.name) == (world.key, "r1", "first")
    assert world.steps() == [0, 1, 2, 3]
    assert (rewound.last_step, rewound.history_count) == (3, 4)
    assert (rewound.summary, rewound.runtime_seconds) == ({"loss": 3, "_runtime": 7.5}, 7.5)
    assert rewound.config["lr"] == 1


def test_a_copy_has_all_that_the_run_was(world: World) -> None:
    world.log(range(10))
    before = world.record()
    world.rewind(3)
    archive = world.archive()
    assert world.steps(archive.key) == list(range(10))
    assert (archive.last_step, archive.history_count) == (9, 10)
    assert archive.name == "first (before rewind to 3)"
    assert archive.state is RunState.FINISHED
    assert archive.finished_at is not None
    assert archive.tags == ("a", "rewound")
    assert archive.created_at == before.created_at
    assert archive.config["_lineal"]["archive_of"] == "r1?_step=3"
    assert archive.sweep_id is None
    assert len(world.runs()) == 2


def test_all_writers_are_cut_also_in_the_middle_of_a_row_of_lines(world: World) -> None:
    world.log(range(0, 10, 2), writer="a")
    world.log(range(1, 10, 2), writer="b")
    world.log([20, 21], writer="late")
    world.rewind(4)
    assert world.steps() == [0, 1, 2, 3, 4]
    assert world.steps(world.archive().key) == [*range(10), 20, 21]


def test_a_line_without_a_step_goes_with_the_one_before_it(world: World) -> None:
    note = b'{"note":1}'
    world.append(Lines(Stream.HISTORY, "w", 0, [row(0), note, row(1), note]))
    world.rewind(0)
    assert world.lines() == [json.loads(row(0)), {"note": 1}]


def test_the_run_goes_on_after_the_step_with_a_new_writer(world: World) -> None:
    world.log(range(10))
    world.rewind(3)
    world.log([4, 5], writer="second")
    assert world.steps() == [0, 1, 2, 3, 4, 5]
    assert world.record().last_step == 5
    assert world.steps(world.archive().key) == list(range(10))


def test_console_and_events_begin_anew_and_stay_with_the_copy(world: World) -> None:
    world.log(range(3))
    world.append(Lines(Stream.CONSOLE, "w", 0, [b'{"ts": 1, "content": "hello"}']))
    world.append(Lines(Stream.EVENTS, "w", 0, [b'{"_timestamp": 1}']))
    world.rewind(1)
    archive = world.archive().key
    assert world.lines(stream=Stream.CONSOLE) == world.lines(stream=Stream.EVENTS) == []
    assert world.lines(archive, Stream.CONSOLE) == [{"ts": 1, "content": "hello"}]
    assert len(world.lines(archive, Stream.EVENTS)) == 1


def test_files_stay_with_both_but_the_console_file(world: World, tmp_path: Any) -> None:
    world.log(range(3))
    (tmp_path / "f").write_text("x")
    files = [(name, str(tmp_path / "f")) for name in ("weights.h5", "output.log")]
    run_files.put(world.instance, world.owner, world.key, files)
    world.rewind(1)

    def paths(run: RunKey) -> list[str]:
        page = run_files.files(world.instance, world.owner, run, ALL)
        return [file.path for file in page.items]

    assert paths(world.key) == ["weights.h5"]
    assert paths(world.archive().key) == ["output.log", "weights.h5"]


def test_artifacts_stay_with_the_part_of_the_run_that_produced_them(world: World) -> None:
    earlier = runs.start(world.instance, world.owner, RunSpec("ana", "p", "earlier")).run.key
    data = world.version("data", None, run=earlier)
    shared = world.version("shared", 9, run=earlier)
    lineage.use(world.instance, world.owner, world.key, data, alias="latest")
    world.log(range(10))
    world.version("before", 2)
    world.version("at-the-step", 4)  # after the row of step 3, before the next
    world.version("after", 5)
    world.version("unknown", None)
    lineage.relog(world.instance, world.owner, world.key, shared)
    world.rewind(3)
    archive = world.archive().key
    assert world.versions(archive, EdgeKind.LOGGED) == ["after:v0"]
    stayed = ["before:v0", "at-the-step:v0", "unknown:v0", "shared:v0"]
    assert world.versions(world.key, EdgeKind.LOGGED) == stayed
    assert world.versions(archive, EdgeKind.USED) == ["data:v0"]
    assert world.versions(world.key, EdgeKind.USED) == ["data:v0"]


def test_rewinding_twice_to_the_same_step_makes_one_copy(world: World) -> None:
    world.log(range(10))
    first = world.rewind(3, loss=3)
    assert world.rewind(3, loss="other") == first
    assert len(world.runs()) == 2


def test_rewinding_to_the_last_step_changes_nothing(world: World) -> None:
    world.log(range(4))
    before = world.record()
    assert world.rewind(3) == before
    assert len(world.runs()) == 1


def test_a_run_can_be_rewound_again_further(world: World) -> None:
    world.log(range(10))
    world.rewind(6)
    first = world.archive()
    world.rewind(2)
    assert world.steps() == [0, 1, 2]
    assert world.steps(world.archive().key) == list(range(7))
    assert world.steps(first.key) == list(range(10))


def test_an_attempt_after_it_counts_its_time_from_the_step(
    world: World, clock: MovableClock
) -> None:
    world.log(range(10))
    runs.heartbeat(world.instance, world.owner, world.key, 100.0)
    world.rewind(3, _runtime=40.0)
    runs.start(world.instance, world.owner, RunSpec("ana", "p", "r1", resume="must"))
    runs.finish(world.instance, world.owner, world.key, 0, 5.0)
    assert world.record().runtime_seconds == 45.0


@pytest.mark.parametrize("step", [-1, 10])
def test_a_step_that_the_run_never_reached_is_refused(world: World, step: int) -> None:
    world.log(range(10))
    with pytest.raises(Invalid, match="ana/p/r1"):
        world.rewind(step)
    assert len(world.runs()) == 1


def test_a_run_that_is_not_there_cannot_be_rewound(world: World) -> None:
    with pytest.raises(RunNotFoundError):
        rewinding.rewind(world.instance, world.owner, RunKey(99), 0, {})
    deletion.delete_run(world.instance, world.owner, world.key)
    with pytest.raises(Gone):
        world.rewind(0)


def test_only_who_may_write_may_rewind(world: World, stranger: Actor, instance: Instance) -> None:
    with pytest.raises(NotFound):
        rewinding.rewind(instance, stranger, world.key, 0, {})
    with pytest.raises(Denied):
        rewinding.rewind(instance, Actor("vic", Role.VIEWER), world.key, 0, {})


def test_killed_half_way_leaves_the_run_as_it_was(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.log(range(10))
    before = world.record()

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(rewinding, "_take_back", die)
        with pytest.raises(KeyboardInterrupt):
            world.rewind(3)
    assert (world.record(), world.steps(), len(world.runs())) == (before, list(range(10)), 1)
    world.rewind(3)
    assert world.steps() == [0, 1, 2, 3]


@given(
    writers=st.lists(
        st.lists(st.integers(0, 30), min_size=1, max_size=20, unique=True).map(sorted),
        min_size=1,
        max_size=3,
    ),
    data=st.data(),
)
@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_nothing_is_lost_and_nothing_later_stays(
    instance: Instance, owner: Actor, writers: list[list[int]], data: st.DataObject
) -> None:
    run_id = f"r{next(_serial)}"
    world = World(instance, owner, runs.start(instance, owner, RunSpec("ana", "p", run_id)).run)
    for number, steps in enumerate(writers):
        middle = data.draw(st.integers(0, len(steps)))
        world.log(steps[:middle], writer=str(number))
        world.log(steps[middle:], writer=str(number), first_offset=middle)
    everything = sorted(step for steps in writers for step in steps)
    step = data.draw(st.integers(0, everything[-1]))
    rewound = world.rewind(step)
    kept = [one for one in everything if one <= step]
    assert world.steps() == kept
    assert (rewound.history_count, rewound.last_step) == (len(kept), max(kept, default=-1))
    if kept != everything:
        assert world.steps(world.archive().key) == everything


_serial = count()
