"""Rewriting a manifest is the same as building it anew, and touches only what changed."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import count, islice

from hypothesis import given, settings
from hypothesis import strategies as st

from lineal.core.digest import Digest, of_bytes
from lineal.core.manifest import (
    Entry,
    ManifestHead,
    Segment,
    SegmentHead,
    build_segments,
    decode_entries,
    manifest_head,
    rewrite,
    segment_of,
    starts_segment,
)

Changes = dict[str, Entry | None]


def entry(path: str, content: bytes = b"old") -> Entry:
    return Entry(path, of_bytes(content), len(content))


CUTS = sorted(islice((f"c{i:06}" for i in count() if starts_segment(f"c{i:06}")), 6))
"""Paths before which a cut is made."""
PLAIN = [f"{cut}/{part}" for cut in CUTS for part in "xyz" if not starts_segment(f"{cut}/{part}")]
BEFORE_ALL = [path for path in ("a", "b", "c", "c0") if not starts_segment(path)]
PATHS = sorted([*CUTS, *PLAIN, *BEFORE_ALL])


class Base:
    """A manifest that counts which of its segments are read."""

    def __init__(self, paths: Iterable[str]) -> None:
        self.entries = {path: entry(path) for path in sorted(paths)}
        self.segments = {part.head.digest: part for part in build_segments(self.entries.values())}
        self.head = manifest_head(part.head for part in self.segments.values())
        self.read: list[SegmentHead] = []

    def __call__(self, head: SegmentHead) -> Iterable[Entry]:
        self.read.append(head)
        return decode_entries(self.segments[head.digest].lines)

    def rewritten(self, changes: Changes) -> list[SegmentHead | Segment]:
        return list(rewrite(self.head, self, sorted(changes.items(), key=lambda pair: pair[0])))

    def anew(self, changes: Changes) -> ManifestHead:
        entries = {**self.entries, **changes}
        kept = (entries[path] for path in sorted(entries))
        return manifest_head(
            part.head for part in build_segments(each for each in kept if each is not None)
        )


def heads(parts: Iterable[SegmentHead | Segment]) -> list[SegmentHead]:
    return [part.head if isinstance(part, Segment) else part for part in parts]


def made(parts: Iterable[SegmentHead | Segment]) -> list[Segment]:
    return [part for part in parts if isinstance(part, Segment)]


path_sets = st.sets(st.sampled_from(PATHS))
change_sets = st.dictionaries(
    st.sampled_from(PATHS), st.sampled_from([None, b"old", b"new", b"newer"])
)


def changes_of(drawn: dict[str, bytes | None]) -> Changes:
    return {path: None if new is None else entry(path, new) for path, new in drawn.items()}


@settings(max_examples=400)
@given(paths=path_sets, drawn=change_sets)
def test_rewriting_equals_building_everything_anew(
    paths: set[str], drawn: dict[str, bytes | None]
) -> None:
    base = Base(paths)
    changes = changes_of(drawn)
    assert manifest_head(heads(base.rewritten(changes))) == base.anew(changes)


@settings(max_examples=200)
@given(paths=path_sets, drawn=change_sets)
def test_every_segment_is_read_once_at_most(
    paths: set[str], drawn: dict[str, bytes | None]
) -> None:
    base = Base(paths)
    base.rewritten(changes_of(drawn))
    assert len(base.read) == len({head.digest for head in base.read})


@settings(max_examples=200)
@given(paths=path_sets, drawn=change_sets)
def test_only_touched_segments_and_the_neighbours_of_removed_cuts_are_read(
    paths: set[str], drawn: dict[str, bytes | None]
) -> None:
    base = Base(paths)
    changes = changes_of(drawn)
    base.rewritten(changes)
    touched = set()
    for path in changes:
        head = segment_of(base.head, path) or (base.head.segments or (None,))[0]
        if head is not None:
            touched.add(head.digest)
    lost_cuts = sum(changes.get(head.first_path, head) is None for head in base.head.segments)
    extra = {head.digest for head in base.read} - touched
    assert len(extra) <= lost_cuts


def test_changing_one_entry_reads_and_makes_one_segment() -> None:
    base = Base(PATHS)
    changed = CUTS[2] + "/x"
    parts = base.rewritten({changed: entry(changed, b"new")})
    assert [head.first_path for head in base.read] == [CUTS[2]]
    assert [part.head.first_path for part in made(parts)] == [CUTS[2]]
    assert len(parts) == len(base.head.segments)


def test_changing_nothing_reads_nothing() -> None:
    base = Base(PATHS)
    assert base.rewritten({}) == list(base.head.segments)
    assert base.read == []


def test_an_entry_changed_to_what_it_was_gives_the_same_segments() -> None:
    base = Base(PATHS)
    parts = base.rewritten({CUTS[1]: entry(CUTS[1])})
    assert heads(parts) == list(base.head.segments)


def test_removing_a_cut_joins_its_segment_to_the_one_before() -> None:
    base = Base(PATHS)
    parts = base.rewritten({CUTS[2]: None})
    assert [part.head.first_path for part in made(parts)] == [CUTS[1]]
    assert {head.first_path for head in base.read} == {CUTS[1], CUTS[2]}
    assert len(parts) == len(base.head.segments) - 1


def test_removing_neighbouring_cuts_joins_them_all() -> None:
    base = Base(PATHS)
    changes: Changes = {CUTS[1]: None, CUTS[2]: None, CUTS[3]: None}
    parts = base.rewritten(changes)
    assert [part.head.first_path for part in made(parts)] == [CUTS[0]]
    assert manifest_head(heads(parts)) == base.anew(changes)


def test_removing_a_whole_segment_makes_none() -> None:
    base = Base(PATHS)
    gone: Changes = {path: None for path in PATHS if path.startswith(CUTS[3])}
    parts = base.rewritten(gone)
    assert made(parts) == []
    assert len(parts) == len(base.head.segments) - 1


def test_removing_the_first_segment_leaves_the_second_first() -> None:
    base = Base(PATHS)
    gone: Changes = dict.fromkeys([path for path in PATHS if path < CUTS[0]])
    parts = base.rewritten(gone)
    assert made(parts) == []
    assert heads(parts)[0].first_path == CUTS[0]


def test_removing_everything_leaves_an_empty_manifest() -> None:
    base = Base(PATHS)
    assert base.rewritten(dict.fromkeys(PATHS)) == []


def test_inserting_before_the_first_path_lengthens_the_first_segment() -> None:
    base = Base([*CUTS, *PLAIN])
    parts = base.rewritten({"a": entry("a")})
    assert heads(parts)[0].first_path == "a"
    assert manifest_head(heads(parts)) == base.anew({"a": entry("a")})
    assert len(base.read) == 1


def test_inserting_a_cut_splits_its_segment() -> None:
    base = Base([path for path in PATHS if path != CUTS[2]])
    parts = base.rewritten({CUTS[2]: entry(CUTS[2])})
    assert [part.head.first_path for part in made(parts)] == [CUTS[1], CUTS[2]]
    assert len(base.read) == 1


def test_ten_changes_of_a_large_manifest_make_ten_segments_at_most() -> None:
    paths = sorted(f"train/{i:07}.png" for i in range(40_000))
    base = Base(paths)
    assert len(base.head.segments) > 20
    chosen = paths[1000::4000]
    parts = base.rewritten({path: entry(path, b"new") for path in chosen})
    assert len(made(parts)) <= len(chosen) == 10
    assert len(base.read) <= 10


def test_digests_of_references_survive_a_rewrite() -> None:
    base = Base(PATHS)
    reference = Entry("zz", Digest("etag"), 0, "s3://bucket/zz", {"etag": "etag"})
    parts = base.rewritten({"zz": reference})
    assert reference in list(decode_entries(made(parts)[-1].lines))
