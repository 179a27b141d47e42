"""Manifests: one set of entries, one digest; what changes little costs little (MAN-1…MAN-7)."""

from __future__ import annotations

import hashlib
import json
import random
import re
from collections.abc import Iterable
from itertools import islice

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lineal.core import manifest
from lineal.core.digest import Digest, of_bytes
from lineal.core.file_paths import entry_path
from lineal.core.manifest import Entry, ManifestHead, Segment, SegmentHead
from lineal.errors import HostilePath, IntegrityError


def _is_path(text: str) -> bool:
    try:
        return entry_path(text) == text
    except HostilePath:
        return False


ODD = "\t\x01\x0b\x0c\x1c\x1f\x7f\x85\u2028\u2029\"'\\{}:, é漢\U0001f600"
PATHS = st.text(st.sampled_from("ab/." + ODD), min_size=1, max_size=10).filter(
    _is_path
) | st.from_regex(r"[a-c]/[0-9]{1,3}\.bin", fullmatch=True)
DIGESTS = st.integers(0, 3).map(lambda n: of_bytes(bytes([n])))
EXTRAS = st.dictionaries(
    st.sampled_from(["etag", "versionID"]), st.text(st.sampled_from("a\"'\n\r\u2028"), max_size=4)
)


@st.composite
def entries_at(draw: st.DrawFn, path: str) -> Entry:
    size = draw(st.integers(0, 2**60))
    if draw(st.booleans()):
        return Entry(path, draw(DIGESTS), size)
    uri = draw(st.text(st.sampled_from("s3:/a\"'\n\\"), min_size=1, max_size=8))
    etag = draw(st.text(st.sampled_from('e"\n\\'), max_size=4))
    return Entry(path, Digest(etag), size, uri, draw(EXTRAS))


ENTRY_SETS = st.lists(PATHS, unique=True, max_size=12).flatmap(
    lambda paths: st.tuples(*(entries_at(path) for path in paths))
)


def build(entries: Iterable[Entry]) -> tuple[ManifestHead, dict[Digest, Segment]]:
    segments = list(manifest.build_segments(sorted(entries, key=lambda entry: entry.path)))
    by_digest = {segment.head.digest: segment for segment in segments}
    return manifest.manifest_head(segment.head for segment in segments), by_digest


def many(count: int) -> list[Entry]:
    return sorted(Entry(f"d{i % 7}/{i}.bin", of_bytes(b"x"), 10) for i in range(count))


LARGE = many(10_000)
"""Ten segments or so."""
few_examples = settings(max_examples=20)
"""For what builds the large manifest anew each time."""
LARGE_HEAD, LARGE_SEGMENTS = build(LARGE)


# --- digest ---


@given(entries=ENTRY_SETS, order=st.randoms())
def test_same_entries_in_any_order_have_the_same_digest(
    entries: tuple[Entry, ...], order: random.Random
) -> None:
    shuffled = list(entries)
    order.shuffle(shuffled)
    assert build(shuffled)[0] == build(entries)[0]


@given(one=ENTRY_SETS, other=ENTRY_SETS)
def test_different_entries_have_different_digests(
    one: tuple[Entry, ...], other: tuple[Entry, ...]
) -> None:
    assert (build(one)[0].digest == build(other)[0].digest) == (set_of(one) == set_of(other))


def set_of(entries: Iterable[Entry]) -> list[Entry]:
    return sorted(entries, key=lambda entry: entry.path)


@pytest.mark.parametrize(
    "change",
    [
        {"digest": of_bytes(b"other")},
        {"size": 11},
        {"ref": "s3://bucket/key"},
        {"extra": {"etag": "e"}},
        {"path": "d0/0.bin2"},
    ],
)
def test_digest_covers_every_field_of_an_entry(change: dict[str, object]) -> None:
    before = many(1)
    assert build([before[0]._replace(**change)])[0].digest != build(before)[0].digest


def test_digest_stays_what_it_is() -> None:
    """The form is for ever: a change here makes every stored version a stranger."""
    entries = [
        Entry("a.txt", of_bytes(b"a"), 1),
        Entry('b "ü"\t\u2028.txt', of_bytes(b"b"), 2),
        Entry("c", Digest('"etag"'), 3, "s3://bucket/ü", {"versionID": "1", "etag": "e"}),
        Entry("d", Digest("etag"), 4, "s3://bucket/d"),
        Entry("e", of_bytes(b"e"), 5, None, {"etag": "e"}),
    ]
    head, segments = build(entries)
    lines = [
        f'{{"digest":"{of_bytes(b"a")}","path":"a.txt","size":1}}',
        f'{{"digest":"{of_bytes(b"b")}","path":"b \\"ü\\"\\t\u2028.txt","size":2}}',
        '{"digest":"\\"etag\\"","extra":{"etag":"e","versionID":"1"},"path":"c",'
        '"ref":"s3://bucket/ü","size":3}',
        '{"digest":"etag","path":"d","ref":"s3://bucket/d","size":4}',
        f'{{"digest":"{of_bytes(b"e")}","extra":{{"etag":"e"}},"path":"e","size":5}}',
    ]
    content = "".join(line + "\n" for line in lines).encode()
    assert [segment.lines for segment in segments.values()] == [content]
    root = f'lineal-manifest-v1\n["{of_bytes(content)}",5,"a.txt",15]\n'
    assert head.digest == of_bytes(root.encode())


def test_empty_manifest_has_a_digest_of_its_own() -> None:
    head, segments = build([])
    assert head.digest == of_bytes(b"lineal-manifest-v1\n")
    assert (head.entry_count, head.size_bytes, segments) == (0, 0, {})


def test_head_adds_up_its_entries() -> None:
    assert (LARGE_HEAD.entry_count, LARGE_HEAD.size_bytes) == (10_000, 100_000)


# --- encoding ---


@given(entries=ENTRY_SETS)
def test_entries_come_back_from_their_lines(entries: tuple[Entry, ...]) -> None:
    lines = b"".join(map(manifest.encode_entry, entries))
    assert list(manifest.decode_entries(lines)) == list(entries)


@given(entries=ENTRY_SETS, other=PATHS)
def test_one_entry_is_found_among_its_lines(entries: tuple[Entry, ...], other: str) -> None:
    lines = b"".join(map(manifest.encode_entry, entries))
    found = {path: manifest.entry_in(lines, path) for path in [other, *(e.path for e in entries)]}
    assert found == {other: None} | {entry.path: entry for entry in entries}


@given(entries=ENTRY_SETS, other=PATHS)
def test_the_entries_of_a_folder_are_found_among_lines(
    entries: tuple[Entry, ...], other: str
) -> None:
    lines = b"".join(map(manifest.encode_entry, entries))
    ends = {path[:at] for path in (other, *(e.path for e in entries)) for at in range(len(path))}
    for prefix in {"", other, f"{other}/"} | ends:
        wanted = [entry for entry in entries if entry.path.startswith(prefix)]
        assert list(manifest.entries_under(lines, prefix)) == wanted


def test_an_entry_is_not_taken_for_one_that_names_it() -> None:
    names_it = Entry("a", of_bytes(b""), 0, "s3://b/a", {"path": "b", "z": 1})
    lines = manifest.encode_entry(names_it) + manifest.encode_entry(Entry("b", of_bytes(b""), 0))
    assert manifest.entry_in(lines, "b") == Entry("b", of_bytes(b""), 0)
    assert manifest.entry_in(lines[: lines.index(b"\n") + 1], "b") is None
    assert [entry.path for entry in manifest.entries_under(lines, "b")] == ["b"]


@given(entries=ENTRY_SETS)
def test_a_line_is_one_line_of_canonical_json(entries: tuple[Entry, ...]) -> None:
    for entry in entries:
        line = manifest.encode_entry(entry)
        assert line.count(b"\n") == 1
        assert b"\r" not in line
        again = json.dumps(
            json.loads(line), sort_keys=True, separators=(",", ":"), ensure_ascii=False
        )
        assert line == again.encode() + b"\n"


@pytest.mark.parametrize("code", [c for c in range(1, 0x20) if chr(c) not in "\n\r"])
def test_control_characters_in_a_path_come_back(code: int) -> None:
    entry = Entry(f"a{chr(code)}b", of_bytes(b""), 0)
    assert list(manifest.decode_entries(manifest.encode_entry(entry))) == [entry]


def test_segments_are_checked_against_all_that_is_said_of_them() -> None:
    segment = next(iter(LARGE_SEGMENTS.values()))
    assert manifest.check_segment(segment)[0].path == segment.head.first_path
    wrong = [
        Segment(segment.head, segment.lines + b"\n"),
        Segment(segment.head._replace(entry_count=1), segment.lines),
        Segment(segment.head._replace(first_path="x"), segment.lines),
        Segment(segment.head._replace(size_bytes=1), segment.lines),
    ]
    for one in wrong:
        with pytest.raises(IntegrityError):
            manifest.check_segment(one)


# --- cutting ---


def test_the_cut_rule_is_the_hash_of_the_path() -> None:
    paths = (f"{i}" for i in range(100_000))
    for path in islice((p for p in paths if manifest.starts_segment(p)), 20):
        assert int(hashlib.sha256(path.encode()).hexdigest()[:4], 16) % 1024 == 0


def test_segments_hold_about_a_thousand_entries() -> None:
    counts = [head.entry_count for head in build(many(100_000))[0].segments]
    assert 70 < len(counts) < 130
    assert sum(counts) == 100_000


def test_segments_put_together_are_all_entries() -> None:
    decoded = [
        entry
        for head in LARGE_HEAD.segments
        for entry in manifest.check_segment(LARGE_SEGMENTS[head.digest])
    ]
    assert decoded == LARGE


def test_every_segment_but_the_first_starts_at_a_cut() -> None:
    assert all(manifest.starts_segment(head.first_path) for head in LARGE_HEAD.segments[1:])


@pytest.mark.parametrize("order", [["b", "a"], ["a", "a"], ["a", "c", "b"]])
def test_entries_out_of_order_are_refused(order: list[str]) -> None:
    with pytest.raises(ValueError, match="not sorted or not unique"):
        list(manifest.build_segments(Entry(path, of_bytes(b""), 0) for path in order))


def test_building_takes_entries_one_by_one() -> None:
    taken = 0

    def counted() -> Iterable[Entry]:
        nonlocal taken
        for entry in LARGE:
            taken += 1
            yield entry

    first = next(iter(manifest.build_segments(counted())))
    assert taken == first.head.entry_count + 1


@given(index=st.integers(0, len(LARGE) - 1))
@few_examples
def test_one_changed_entry_changes_one_segment(index: int) -> None:
    after = list(LARGE)
    after[index] = after[index]._replace(digest=of_bytes(b"changed"))
    old, new = manifest.different_segments(LARGE_HEAD, build(after)[0])
    assert len(old) == len(new) == 1
    assert old[0].first_path == new[0].first_path


@given(
    index=st.integers(0, len(LARGE) - 1), name=st.from_regex(r"d[0-6]/[a-z]{1,8}", fullmatch=True)
)
@few_examples
def test_one_entry_more_or_less_changes_few_segments(index: int, name: str) -> None:
    fewer = [*LARGE[:index], *LARGE[index + 1 :]]
    more = sorted([*LARGE, Entry(name, of_bytes(b"new"), 1)])
    for after in (fewer, more):
        old, new = manifest.different_segments(LARGE_HEAD, build(after)[0])
        assert len(old) <= 2
        assert len(new) <= 2


# --- finding ---


@given(index=st.integers(0, len(LARGE) - 1))
def test_every_path_is_in_the_one_segment_named(index: int) -> None:
    head = manifest.segment_of(LARGE_HEAD, LARGE[index].path)
    assert head is not None
    assert LARGE[index] in manifest.decode_entries(LARGE_SEGMENTS[head.digest].lines)


def test_path_before_all_others_is_in_no_segment() -> None:
    assert manifest.segment_of(LARGE_HEAD, "a") is None
    assert manifest.segment_of(manifest.manifest_head([]), "a") is None


@given(
    prefix=st.from_regex(r"(d[0-9](/[0-9]{0,5})?)?", fullmatch=True)
    | st.integers(0, len(LARGE) - 1).map(lambda index: LARGE[index].path)
    | st.sampled_from(["a", "z", "d", "d3/", LARGE[0].path])
)
def test_segments_under_a_prefix_hold_all_its_paths_and_little_else(prefix: str) -> None:
    heads = manifest.segments_under(LARGE_HEAD, prefix)
    found = [
        entry.path
        for head in heads
        for entry in manifest.decode_entries(LARGE_SEGMENTS[head.digest].lines)
    ]
    wanted = [entry.path for entry in LARGE if entry.path.startswith(prefix)]
    assert [path for path in found if path.startswith(prefix)] == wanted
    assert len(heads) <= 2 + len(wanted) // 100


# --- difference ---


def applied(before: Iterable[Entry], change: manifest.Diff) -> list[Entry]:
    """Return the entries that `change` turns `before` into, sorted by path."""
    entries = {entry.path: entry for entry in before}
    for entry in change.removed:
        del entries[entry.path]
    for source, _ in change.renamed:
        del entries[source.path]
    for _, after in (*change.changed, *change.renamed):
        entries[after.path] = after
    for entry in change.added:
        entries[entry.path] = entry
    return [entries[path] for path in sorted(entries)]


@given(before=ENTRY_SETS, after=ENTRY_SETS)
def test_difference_applied_to_the_old_gives_the_new(
    before: tuple[Entry, ...], after: tuple[Entry, ...]
) -> None:
    change = manifest.diff(before, after)
    assert applied(before, change) == set_of(after)
    assert change.is_empty == (set_of(before) == set_of(after))


@given(before=ENTRY_SETS, after=ENTRY_SETS)
def test_difference_names_every_path_once(
    before: tuple[Entry, ...], after: tuple[Entry, ...]
) -> None:
    change = manifest.diff(before, after)
    gone = [entry.path for entry in change.removed] + [old.path for old, _ in change.renamed]
    come = [entry.path for entry in change.added] + [new.path for _, new in change.renamed]
    stay = [old.path for old, _ in change.changed]
    assert sorted(gone) == sorted({e.path for e in before} - {e.path for e in after})
    assert sorted(come) == sorted({e.path for e in after} - {e.path for e in before})
    assert stay == sorted(stay)
    assert not set(stay) & {*gone, *come}
    for group in (change.added, change.removed):
        assert list(group) == set_of(group)


@given(data=st.data())
@few_examples
def test_reading_only_segments_that_differ_gives_the_same_difference(data: st.DataObject) -> None:
    indices = data.draw(st.lists(st.integers(0, len(LARGE) - 1), unique=True, max_size=5))
    chosen = [LARGE[index] for index in indices]
    renamed = {entry.path: entry._replace(path=entry.path + "-moved") for entry in chosen[::2]}
    removed = {entry.path for entry in chosen[1::2]}
    after = sorted(renamed.get(e.path, e) for e in LARGE if e.path not in removed)
    after_head, after_segments = build(after)
    old, new = manifest.different_segments(LARGE_HEAD, after_head)
    change = manifest.diff(
        (e for head in old for e in manifest.decode_entries(LARGE_SEGMENTS[head.digest].lines)),
        (e for head in new for e in manifest.decode_entries(after_segments[head.digest].lines)),
    )
    assert change == manifest.diff(LARGE, after)
    assert len(old) <= 2 * len(chosen)


def test_moved_file_is_renamed_not_removed_and_added() -> None:
    before = [Entry("a", of_bytes(b"1"), 1), Entry("b", of_bytes(b"2"), 1)]
    after = [Entry("c", of_bytes(b"1"), 1), Entry("b", of_bytes(b"3"), 1)]
    change = manifest.diff(before, after)
    assert change.renamed == ((before[0], after[0]),)
    assert change.changed == ((before[1], after[1]),)
    assert change.added == change.removed == ()


# --- from elsewhere ---


@pytest.mark.parametrize("path", ["../x", "/x", "a/./x", "a//x", "a\nx", "a/../x", "C:/x"])
def test_a_path_that_no_download_would_take_is_refused_from_wherever_it_comes(path):
    (segment,) = manifest.build_segments([Entry(path, of_bytes(b"a"), 1)])
    with pytest.raises(IntegrityError, match=re.escape(repr(path))):
        manifest.check_segment(segment)


def test_paths_out_of_place_are_refused():
    one, other = (manifest.encode_entry(Entry(path, of_bytes(b"a"), 1)) for path in ("a", "b"))
    for lines in (one + other, other + one, one + one):
        head = SegmentHead(of_bytes(lines), "a" if lines.startswith(one) else "b", 2, 2)
        segment = Segment(head, lines)
        if lines == one + other:
            assert len(manifest.check_segment(segment)) == 2
        else:
            with pytest.raises(IntegrityError, match="out of place"):
                manifest.check_segment(segment)
