"""Digests and keys: what a key promises can be read from it, and nothing else is a key."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lineal.core import digest
from lineal.core.digest import Digest, Key
from lineal.errors import IntegrityError

NONCES = st.from_regex(r"[A-Za-z0-9]{1,64}", fullmatch=True)


@given(data=st.binary())
def test_digest_is_sha256_with_the_algorithm_in_front(data: bytes) -> None:
    assert digest.of_bytes(data) == "sha256:" + hashlib.sha256(data).hexdigest()
    assert digest.of_hash(hashlib.sha256(data)) == digest.of_bytes(data)
    assert digest.is_content(digest.of_bytes(data))


@given(data=st.binary(), nonce=NONCES)
def test_key_gives_back_its_digest(data: bytes, nonce: str) -> None:
    key = digest.storage_key(digest.of_bytes(data), nonce)
    assert digest.of_key(key) == digest.of_bytes(data)
    assert key.endswith(nonce)


@given(data=st.binary(), one=NONCES, other=NONCES)
def test_keys_of_one_content_differ_by_nonce(data: bytes, one: str, other: str) -> None:
    content = digest.of_bytes(data)
    same = digest.storage_key(content, one) == digest.storage_key(content, other)
    assert same == (one == other)


HEX = "0" * 64


@pytest.mark.parametrize(
    "text",
    [
        "",
        "sha256:",
        HEX,
        "md5:" + HEX,
        "sha256:" + HEX[1:],
        "sha256:" + HEX + "\n",
        "sha256:" + "A" * 64,
        '"etag"',
    ],
)
def test_foreign_text_is_no_content_digest(text: str) -> None:
    assert not digest.is_content(text)
    with pytest.raises(ValueError, match="not a content digest"):
        digest.storage_key(Digest(text), "n")


@pytest.mark.parametrize("nonce", ["", "../x", "a/b", "a b", "x" * 65, "n\n"])
def test_nonce_that_could_leave_its_folder_is_refused(nonce: str) -> None:
    with pytest.raises(IntegrityError, match="not a content digest and nonce"):
        digest.storage_key(digest.of_bytes(b""), nonce)


@given(contents=st.lists(st.binary(), max_size=5), nonce=NONCES)
def test_many_keys_are_those_of_each(contents: list[bytes], nonce: str) -> None:
    digests = [digest.of_bytes(data) for data in contents]
    assert digest.storage_keys(digests, nonce) == [
        digest.storage_key(each, nonce) for each in digests
    ]


GOOD = digest.of_bytes(b"good")


@pytest.mark.parametrize(
    "bad",
    [
        ["sha256:", GOOD[7:]],
        [f"{GOOD}\n{GOOD}", ""],
        [GOOD[:40], GOOD[40:]],
        [GOOD, GOOD[:-1] + "G", GOOD],
        [GOOD, "../" + GOOD[3:]],
    ],
)
def test_no_key_comes_of_what_is_no_digest_among_many(bad: list[str]) -> None:
    with pytest.raises(IntegrityError):
        digest.storage_keys([Digest(each) for each in bad], "n")


@pytest.mark.parametrize("nonce", ["", "a/b", "..", "x" * 65, "n\n"])
def test_many_keys_need_a_nonce_like_one(nonce: str) -> None:
    with pytest.raises(IntegrityError):
        digest.storage_keys([GOOD], nonce)


@given(text=st.text("sha256/0a.", max_size=90))
def test_foreign_text_is_no_key(text: str) -> None:
    with pytest.raises(ValueError, match="not a"):
        digest.of_key(Key(text))


@pytest.mark.parametrize(
    "key",
    [f"sha256/11/00/{HEX}/n", f"sha256/00/00/{HEX}", f"md5/00/00/{HEX}/n", f"sha256/00/00/{HEX}/"],
)
def test_key_that_contradicts_itself_is_refused(key: str) -> None:
    with pytest.raises(ValueError, match="not a"):
        digest.of_key(Key(key))


@given(added=st.lists(st.tuples(st.binary(), NONCES)))
def test_many_keys_are_kept_as_they_were_added(added: list[tuple[bytes, str]]) -> None:
    expected = [digest.storage_key(digest.of_bytes(data), nonce) for data, nonce in added]
    keys = digest.Keys()
    for key in expected:
        keys.add(key)
    assert list(keys) == expected
    assert list(reversed(keys)) == expected[::-1]
    assert (len(keys), keys[1:-1]) == (len(expected), expected[1:-1])
    assert [keys.digest(place) for place in range(len(keys))] == list(map(digest.of_key, expected))
