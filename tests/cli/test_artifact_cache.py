"""`lineal artifact cache cleanup`: the digest cache, and copies nobody will store."""

from __future__ import annotations

import pytest

from lineal.cli.artifact_cache import bytes_of


def test_cleanup_says_what_it_forgot(lineal, photos, home):
    for path in (photos / "a.txt", photos / "cats" / "b.txt"):
        path.unlink()
    leftover = home / "staging" / "1-dead"
    leftover.mkdir()
    assert "Forgot 2 files" in lineal("artifact", "cache", "cleanup", "1GB").out
    assert leftover.exists()
    done = lineal("artifact", "cache", "cleanup", "0", "--remove-temp", "--json").json
    assert done["files_forgotten"] == 0
    assert not leftover.exists()
    assert lineal("artifact", "verify", "demo/photos").code == 0


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("0", 0),
        ("100", 100),
        ("10 B", 10),
        ("1.5MB", 1_500_000),
        ("1MiB", 1 << 20),
        ("2g", 2 * 10**9),
    ],
)
def test_sizes_are_read(text, size):
    assert bytes_of(text) == size


@pytest.mark.parametrize("text", ["", "big", "-1", "1XB", f"{'9' * 300}GB"])
def test_what_is_no_size_is_refused(lineal, text):
    assert lineal("artifact", "cache", "cleanup", "--", text, fails=True).code == 2


def test_purging_leaves_an_empty_cache(lineal, photos):
    assert "Forgot 2 files" in lineal("purge-cache").out
    assert lineal("artifact", "cache", "cleanup", "0", "--json").json["files_forgotten"] == 0
