"""The content of a draft behaves like a dict of paths, with or without a base."""

from __future__ import annotations

import gc
import os
import random
import resource
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import count, islice
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lineal.client.artifact import contents, scratch
from lineal.client.artifact.base import LOOKED_UP_SINGLY, Base
from lineal.client.artifact.contents import (
    ADDED_AT_ONCE,
    IMMUTABLE,
    MUTABLE,
    Added,
    Contents,
    Source,
)
from lineal.core.digest import Digest, of_bytes
from lineal.core.manifest import (
    Entry,
    ManifestHead,
    Segment,
    SegmentHead,
    build_segments,
    manifest_head,
    starts_segment,
)
from lineal.errors import ArtifactFinalizedError, Invalid, NoSpace, Unavailable
from lineal.files.stamps import Stamp

Model = dict[str, Entry]


def entry(path: str, text: str = "x") -> Entry:
    return Entry(path, of_bytes(text.encode()), len(text))


def added(path: str, text: str = "x") -> Added:
    return Added(entry(path, text), None)


def base_of(entries: Iterable[Entry]) -> Base:
    parts = {
        part.head.digest: part
        for part in build_segments(sorted(entries, key=lambda each: each.path))
    }

    def read(heads: Sequence[SegmentHead]) -> Iterator[Segment]:
        return (parts[head.digest] for head in heads)

    return Base(lambda: manifest_head(part.head for part in parts.values()), read)


def digest_of(contents: Contents) -> Digest:
    return head_of(contents.segments()).digest


def head_of(parts: Iterable[SegmentHead | Segment]) -> ManifestHead:
    return manifest_head(part.head if isinstance(part, Segment) else part for part in parts)


class Interleaved(str):
    """A digest; whoever compares it is interrupted by another thread once."""

    meanwhile: Callable[[], object] | None = None

    def __eq__(self, other: object) -> bool:
        meanwhile, Interleaved.meanwhile = Interleaved.meanwhile, None
        if meanwhile is not None:
            meanwhile()
        return str(self) == other

    def __ne__(self, other: object) -> bool:
        return not self == other

    __hash__ = str.__hash__


def test_threads_look_entries_up_in_several_segments_of_a_base() -> None:
    names = [f"{number}" for number in range(5_000)]
    whole = base_of(map(entry, names))
    heads = tuple(
        head._replace(digest=Digest(Interleaved(head.digest))) for head in whole.head.segments
    )
    base = Base(lambda: whole.head._replace(segments=heads), whole.segments)
    first, last = min(names), max(names)
    for _ in range(LOOKED_UP_SINGLY + 1):
        assert base.get(first) is not None
    # as another thread does that looks into another segment just then
    Interleaved.meanwhile = lambda: [base.get(last) for _ in range(LOOKED_UP_SINGLY + 1)]
    assert base.get(first) == entry(first)


# --- a model-based property ---------------------------------------------------------------------

CUTS = list(islice((f"d/{i}" for i in count() if starts_segment(f"d/{i}")), 3))
PATHS = ["a", "a/b", "a/c", "a.txt", "a0", "b", "d/x", "é", *CUTS]
FOLDERS = ["a", "d", "b", "zzz"]
steps = st.lists(
    st.tuples(st.just("add"), st.sampled_from(PATHS), st.sampled_from(["x", "yy"]))
    | st.tuples(st.just("overwrite"), st.sampled_from(PATHS), st.sampled_from(["x", "yy"]))
    | st.tuples(st.just("remove"), st.sampled_from(PATHS + FOLDERS), st.just("")),
    max_size=12,
)


def apply(contents: Contents, model: Model, step: tuple[str, str, str]) -> None:
    """Do a step on both; they must agree on whether it is refused."""
    action, path, text = step
    if action == "remove":
        gone = [each for each in model if each == path or each.startswith(f"{path}/")]
        assert contents.remove(path) == len(gone)
        for each in gone:
            del model[each]
        return
    wanted = entry(path, text)
    if action == "add" and model.get(path, wanted) != wanted:
        with pytest.raises(Invalid):
            contents.add([Added(wanted, None)])
        return
    contents.add([Added(wanted, None)], overwrite=action == "overwrite")
    model[path] = wanted


@settings(max_examples=150, deadline=None)
@given(start=st.sets(st.sampled_from(PATHS)) | st.none(), done=steps)
def test_contents_are_a_dict_of_paths(start: set[str] | None, done: list[tuple[str, str, str]]):
    model = {path: entry(path, "base") for path in start or ()}
    contents = Contents() if start is None else Contents(base_of(model.values()))
    for step in done:
        apply(contents, model, step)
    ordered = [model[path] for path in sorted(model)]
    assert list(contents) == ordered
    assert len(contents) == len(ordered)
    assert contents.size_bytes == sum(each.size for each in ordered)
    assert [contents.get(path) for path in PATHS] == [model.get(path) for path in PATHS]
    assert digest_of(contents) == head_of(build_segments(ordered)).digest
    is_clashing = any(other.startswith(f"{path}/") for path in model for other in model)
    if start is None:
        assert (contents.clash() is not None) == is_clashing


# --- one by one ---------------------------------------------------------------------------------


def test_all_entries_are_added_or_none() -> None:
    contents = Contents()
    contents.add([added("a", "x")])
    with pytest.raises(Invalid, match="'a' twice"):
        contents.add([added("b"), added("a", "other"), added("c")])
    assert [each.path for each in contents] == ["a"]


def test_an_error_of_the_source_adds_nothing() -> None:
    def failing() -> Iterator[Added]:
        yield added("a")
        raise OSError("disk")

    contents = Contents()
    with pytest.raises(OSError, match="disk"):
        contents.add(failing())
    assert list(contents) == []
    contents.add([added("a")])


@pytest.mark.parametrize("before", [[], ["z"]])
def test_two_different_contents_for_one_path_in_one_call_are_refused(before: list[str]) -> None:
    contents = Contents(base_of(map(entry, before))) if before else Contents()
    with pytest.raises(Invalid, match="'a' twice with different content"):
        contents.add([added("b"), added("a", "x"), added("a", "y")])
    assert [each.path for each in contents] == before
    contents.add([added("a"), added("a")])
    assert [each.path for each in contents] == ["a", *before]


def test_what_joins_a_folder_may_clash_with_it() -> None:
    contents = Contents()
    contents.add([added("a/b"), added("c")], is_folder=True)
    assert contents.clash() is None
    contents.add([added("c/d")], is_folder=True)
    assert contents.clash() == "c"
    based = Contents(base_of([entry("a/b")]))
    based.add([added("a")], is_folder=True)
    assert based.clash() is not None


def test_a_folder_may_clash_with_the_base_that_it_gets_when_it_is_logged() -> None:
    contents = Contents()
    contents.add([added("a/b"), added("c")], is_folder=True)
    contents.base = base_of([entry("a")])
    assert contents.clash() is not None


def test_a_base_of_a_version_is_clashed_with_too() -> None:
    contents = Contents(base_of([entry("a/b"), entry("c")]))
    contents.add([added("a")])
    assert contents.clash() is not None
    contents.remove("a")
    contents.add([added("c/d")])
    assert contents.clash() == "c"


def test_entries_of_a_base_are_found_in_any_order_without_reading_it_again() -> None:
    entries = [entry(f"{number:05}", str(number)) for number in range(5_000)]
    base, asked = base_of(entries), []
    read = base._read
    base._read = lambda heads: asked.extend(heads) or read(heads)
    shuffled = random.Random(0).sample(entries, len(entries))
    for each in (*shuffled, *entries):
        assert base.get(each.path) == each
    assert base.get("no such") is None
    assert len(asked) == len(base.head.segments) > 1


def test_an_untouched_base_gives_back_its_own_segments() -> None:
    base = base_of(entry(path) for path in PATHS if "/" in path)
    assert list(Contents(base).segments()) == list(base.head.segments)


def test_more_entries_than_one_page_stay_sorted() -> None:
    contents = Contents()
    contents.add(added(f"{number:06}") for number in range(25_000))
    found = [each.path for each in contents]
    assert found == sorted(found)
    assert len(found) == len(contents) == 25_000


STAMP = Stamp(1, 2, 3, 4)


def test_a_private_copy_is_preferred_as_source() -> None:
    contents = Contents()
    contents.add(
        [
            Added(entry("one"), Source("/data/one", None, IMMUTABLE, STAMP)),
            Added(entry("two"), Source("/data/two", "/staging/0", MUTABLE, STAMP)),
        ]
    )
    found = contents.source_of(entry("one").digest)
    assert found is not None
    assert found.staged == "/staging/0"
    assert contents.name_of("/data/one") == "one"
    assert contents.source_of(of_bytes(b"elsewhere")) is None


@pytest.mark.parametrize("count", [0, 1, 2, 3, 4, 5])
def test_entries_are_all_read_page_by_page(monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    monkeypatch.setattr(scratch, "ROWS_PAGE", 2)
    contents = Contents()
    contents.add(added(f"f{number}") for number in reversed(range(count)))
    assert [each.path for each in contents] == [f"f{number}" for number in range(count)]


def test_all_immutable_sources_are_walked_with_their_digests() -> None:
    contents = Contents()
    policies = (IMMUTABLE, IMMUTABLE, MUTABLE)
    contents.add(
        Added(entry(f"{number:05}"), Source(f"/data/{number}", None, policies[number % 3], STAMP))
        for number in range(18_000)
    )
    contents.add([added("a reference")])
    found = list(contents.immutable_sources())
    assert {source.path for source, _ in found} == {
        f"/data/{number}" for number in range(18_000) if number % 3 != 2
    }
    assert {digest for _, digest in found} == {entry("a").digest}


def test_copies_that_nobody_stored_go_with_the_draft(tmp_path: Path) -> None:
    (tmp_path / "0").write_bytes(b"x")
    contents = Contents()
    contents.add([Added(entry("a"), Source("/data/a", str(tmp_path / "0"), MUTABLE, STAMP))])
    del contents
    assert not (tmp_path / "0").exists()


def test_threads_may_add_at_once() -> None:
    contents = Contents()

    def add(thread: int) -> None:
        for number in range(50):
            contents.add([added(f"{thread}/{number}")])

    threads = [threading.Thread(target=add, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(contents) == 400


def test_what_is_being_added_when_contents_become_final_is_part_of_them() -> None:
    contents = Contents()
    is_adding, may_go_on = threading.Event(), threading.Event()

    def slowly() -> Iterator[Added]:
        yield added("a")
        is_adding.set()
        may_go_on.wait()
        yield added("b")

    adding = threading.Thread(target=lambda: contents.add(slowly()))
    adding.start()
    is_adding.wait()
    finalizing = threading.Thread(target=contents.finalize)
    finalizing.start()
    may_go_on.set()
    for thread in (adding, finalizing):
        thread.join()
    for change in (lambda: contents.add([added("c")]), lambda: contents.remove("a")):
        with pytest.raises(ArtifactFinalizedError, match="nothing was changed"):
            change()
    assert [entry.path for entry in contents] == ["a", "b"]


def test_extra_and_reference_survive() -> None:
    reference = Entry("r", Digest("etag"), 5, "s3://b/k", {"etag": "etag", "versionID": None})
    contents = Contents()
    contents.add([Added(reference, None)])
    assert contents.get("r") == reference


@contextmanager
def room_for_pages(contents: Contents, most: int | None = None) -> Iterator[None]:
    """Let a list of files grow to so many pages, by default not at all, until the block is left."""
    ((now,),) = contents._scratch.rows("PRAGMA page_count")
    contents._scratch.change(f"PRAGMA max_page_count = {most or now}")
    yield
    contents._scratch.change("PRAGMA max_page_count = 1000000")  # a draft to come may have it


def test_no_room_for_the_list_of_files_adds_none_and_says_where(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    contents = Contents()
    contents.add([added("a")])
    monkeypatch.setenv("SQLITE_TMPDIR", "/small")
    with room_for_pages(contents, 20):
        with pytest.raises(NoSpace, match="kept in /small"):
            contents.add(added(f"file{number}") for number in range(10_000))
        contents.add([added("b")])
    assert [entry.path for entry in contents] == ["a", "b"]


def test_no_room_for_the_list_of_files_is_said_of_whatever_needs_some(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    scratch.close()  # one that was used before may have room left
    contents = Contents(base_of(entry(f"base/{number}") for number in range(2_000)))
    contents.add(added(f"file{number}", f"{number}") for number in range(600))
    monkeypatch.setenv("SQLITE_TMPDIR", "/small")
    with room_for_pages(contents):
        with pytest.raises(NoSpace, match="kept in /small"):
            contents.remove("base")
        assert len(contents.under("base")) == 2_000
        with pytest.raises(NoSpace, match="kept in /small"):
            contents.sources_of([])  # by an index


def test_where_no_room_is_to_note_that_copies_were_packed_they_stay_as_they_are(
    tmp_path: Path,
) -> None:
    contents = Contents()
    copies = [tmp_path / f"{number}" for number in range(3)]
    for copy in copies:
        copy.write_text(copy.name)
        source = Source(str(copy), str(copy), MUTABLE, Stamp.at(str(copy)))
        contents.add([Added(entry(copy.name, copy.name), source)])
        contents.alone.append(copy.name)
    with room_for_pages(contents):
        contents.pack_copies(str(tmp_path / "pack"))
    assert contents.copies() == set(map(str, copies))
    assert all(copy.exists() for copy in copies)
    assert not (tmp_path / "pack").exists()


def test_a_limit_on_files_that_the_list_of_files_reaches_adds_none_and_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SQLITE_TMPDIR", str(tmp_path))
    scratch.close()  # nobody else's, which may have a limit of its own
    contents = Contents()
    contents.add([added("a")])
    contents._scratch.change("PRAGMA cache_size = 10")  # so that it comes to the disk soon
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, before[1]))
    try:
        with pytest.raises(Unavailable, match=f"kept in {tmp_path}, cannot be written: disk I/O"):
            contents.add(added(f"file{number}") for number in range(10_000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    contents.add([added("b")])
    assert [entry.path for entry in contents] == ["a", "b"]


def test_a_database_that_is_used_again_is_empty() -> None:
    scratch.close()
    first = Contents(base_of([entry("c")]))
    first.add([added("a"), added("b")])
    assert first.remove("c") == 1
    database = first._scratch._database
    del first
    again = Contents(base_of([entry("c")]))
    again.add([added("d")])
    assert again._scratch._database is database
    assert [each.path for each in again] == ["c", "d"]


def test_a_database_of_a_draft_in_a_cycle_is_used_again() -> None:
    gc.collect()  # what other tests left
    scratch.close()
    for _ in range(3):
        contents = Contents()
        contents.add([added("a")])
        contents.itself = contents  # type: ignore[attr-defined]  # as an error's traceback would
        del contents
        gc.collect()
    assert len(scratch._spare) == 1
    assert scratch._spare[0].execute("SELECT count(*) FROM entries").fetchone() == (0,)


def test_a_large_database_is_not_kept() -> None:
    scratch.close()
    large = Contents()
    large.add(added(f"{number}") for number in range(ADDED_AT_ONCE + 1))
    del large
    assert scratch._spare == []


def test_a_forked_child_keeps_what_it_has_and_shares_no_spare_database() -> None:
    scratch.close()
    mine, spare = Contents(), Contents()
    mine.add([added("a")])
    spare.add([added("b")])
    del spare
    child = os.fork()
    if child == 0:
        was_empty = scratch._spare == []
        kept = [each.path for each in mine] == ["a"]
        del mine
        os._exit(0 if was_empty and kept and scratch._spare == [] else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert len(scratch._spare) == 1


def test_what_a_draft_leaves_half_done_is_not_given_to_the_next() -> None:
    """As where a thread was adding when the process was forked."""
    scratch.close()
    first = scratch.Scratch()
    first.change("BEGIN")
    first.change("INSERT INTO removed VALUES ('a')")
    first.give_back(is_small=True)
    following = scratch.Scratch()
    with following.lock:
        following.at_once(lambda: following.change("INSERT INTO removed VALUES ('b')"))
    assert following.rows("SELECT path FROM removed") == [("b",)]
    following.give_back(is_small=True)
    last = scratch.Scratch()
    last.change("INSERT INTO removed VALUES ('c')")
    assert last.rows("SELECT path FROM removed") == [("c",)]
    last.give_back(is_small=False)


def test_a_draft_may_outlive_the_names_of_its_module(monkeypatch: pytest.MonkeyPatch) -> None:
    """As those do that the traceback of a failed program holds until the very end."""
    draft = Contents()
    draft.add([added("a")])
    monkeypatch.setattr(contents, "sys", None)
    del draft  # what it raises is a warning, and those are errors
