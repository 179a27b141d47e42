"""References over a network that fails half-way, and from web servers that misbehave."""

from __future__ import annotations

import gzip
import os
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import lineal
from lineal.client import references
from lineal.client.references import arriving, checking
from lineal.client.references.scheme import State
from lineal.errors import Denied, NoSpace, ReferenceChanged, Unavailable
from tests.references.looking import AFTER, BEFORE, content, logged, state
from tests.references.places import AzurePlace, Bucket, GcsPlace, S3Place
from tests.references.servers import Azurite, Proxy, Web
from tests.test_files import file_size_limit

# --- a network that fails half-way ---------------------------------------------------------------


@pytest.fixture(params=["s3", "gcs", "azure"])
def behind_proxy(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[Bucket, Proxy]]:
    """A bucket whose requests all go through a proxy."""
    place: Bucket
    if request.param == "s3":
        proxy = Proxy(request.getfixturevalue("s3_url"))
        place = S3Place(proxy.url, monkeypatch, keeps_versions=False)
    elif request.param == "gcs":
        proxy = Proxy(request.getfixturevalue("gcs_url"))
        web: Web = request.getfixturevalue("web")
        place = GcsPlace(proxy.url, web, monkeypatch, keeps_versions=False)
    else:
        azurite: Azurite = request.getfixturevalue("azurite")
        proxy = Proxy(azurite.account)
        behind = azurite._replace(account=f"{proxy.url}/ana")
        place = AzurePlace(behind, monkeypatch, keeps_versions=False)
    yield place, proxy
    proxy.close()


@pytest.mark.parametrize("failure", ["cuts", "damages"])
def test_what_arrives_short_or_damaged_is_asked_for_again(
    behind_proxy: tuple[Bucket, Proxy], failure: str, tmp_path: Path
) -> None:
    place, proxy = behind_proxy
    data = os.urandom(2_000_000)
    artifact = logged(place.put("large", data))
    setattr(proxy, failure, 1)
    assert content(artifact, tmp_path) == data
    assert getattr(proxy, failure) == 0


def test_what_arrives_damaged_every_time_is_refused(
    behind_proxy: tuple[Bucket, Proxy], tmp_path: Path
) -> None:
    place, proxy = behind_proxy
    artifact = logged(place.put("large", os.urandom(2_000_000)))
    proxy.damages = 1_000
    with pytest.raises(Unavailable, match=r"large .*checksum"):
        content(artifact, tmp_path)
    assert not any(path.is_file() for path in tmp_path.glob("out*/**/*"))


def test_what_does_not_fit_is_fetched_once(
    web: Web, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    web.contents["/large"] = bytes(3_000_000)
    artifact = logged(f"{web.url}/large")
    waited: list[float] = []
    monkeypatch.setattr(arriving, "time", SimpleNamespace(sleep=waited.append))  # here only
    with file_size_limit(2_000_000), pytest.raises(NoSpace):
        content(artifact, tmp_path)
    assert waited == []


# --- the web, misbehaving ------------------------------------------------------------------------


def test_an_etag_that_stays_while_the_size_changes_is_not_believed(
    web: Web, tmp_path: Path
) -> None:
    web.contents["/data"], web.etags["/data"] = BEFORE, '"same"'
    artifact = logged(f"{web.url}/data")
    web.contents["/data"] = AFTER
    said = f"has {len(AFTER)} bytes now, not the {len(BEFORE)} that were recorded"
    with pytest.raises(ReferenceChanged, match=said):
        content(artifact, tmp_path)
    assert not any(path.is_file() for path in tmp_path.glob("out*/**/*"))


def test_redirects_are_followed_and_circles_end(web: Web, tmp_path: Path) -> None:
    web.contents["/real"] = BEFORE
    web.etags["/real"] = 'W/"abc"'
    web.redirects = {"/short": "/real", "/round": "/round"}
    artifact = logged(f"{web.url}/short")
    (entry,) = artifact.manifest.entries.values()
    assert (entry.ref, entry.etag) == (f"{web.url}/short", "abc")
    assert content(artifact, tmp_path) == BEFORE
    with pytest.raises(Unavailable, match="circles"):
        logged(f"{web.url}/round")


def test_a_login_is_taken_from_netrc_for_the_hosts_that_it_is_of(
    web: Web, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    web.contents["/data"], web.logins["/data"] = BEFORE, "ana:secret"
    elsewhere = web.url.replace("127.0.0.1", "localhost")
    web.redirects["/moved"] = f"{web.url}/data"
    web.redirects["/away"] = f"{elsewhere}/data"
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))

    def added(url: str) -> Any:
        references.opened.cache_clear()
        return lineal.Artifact("refs", "dataset").add_reference(url)

    with pytest.raises(Denied, match="netrc"):
        added(f"{web.url}/data")
    assert "No login is taken" not in capsys.readouterr().err
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login ana password secret\n")
    for url in (f"{web.url}/data", f"{elsewhere}/moved"):
        (entry,) = added(url)
        assert (entry.ref, entry.size) == (url, len(BEFORE))
    for url in (f"{elsewhere}/data", f"{web.url}/away"):
        with pytest.raises(Denied, match="netrc"):
            added(url)
    (tmp_path / "netrc").write_text("default login ana password secret\n")
    assert added(f"{elsewhere}/data")
    (tmp_path / "netrc").write_text("nonsense")
    with pytest.raises(Denied):
        added(f"{web.url}/data")
    assert "No login is taken from" in capsys.readouterr().err
    references.opened.cache_clear()


def test_an_answer_that_ends_early_is_asked_for_again(web: Web, tmp_path: Path) -> None:
    web.contents["/data"], web.etags["/data"] = BEFORE, '"1"'
    artifact = logged(f"{web.url}/data")
    web.cuts["/data"] = 2
    assert content(artifact, tmp_path) == BEFORE
    web.cuts["/data"] = 99
    with pytest.raises(Unavailable):
        artifact.download(root=str(tmp_path / "cut"))
    assert not any(path.is_file() for path in (tmp_path / "cut").rglob("*"))


def test_a_busy_server_is_asked_again(web: Web, tmp_path: Path) -> None:
    web.contents["/data"], web.etags["/data"], web.busy["/data"] = BEFORE, '"1"', 2
    artifact = logged(f"{web.url}/data")
    web.busy["/data"] = 2
    assert state(artifact) is State.FRESH
    web.busy["/data"] = 2
    assert content(artifact, tmp_path) == artifact.open("data").read() == BEFORE
    web.busy["/data"] = 99
    with pytest.raises(Unavailable, match="429"):
        state(artifact)
    assert web.busy["/data"] == 96


def test_a_server_that_stalls_is_given_up(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LINEAL_REFERENCE_TIMEOUT", "0.3")
    web.contents["/slow"] = BEFORE
    web.stalls.add("/slow")
    with pytest.raises(Unavailable, match="in time"):
        lineal.Artifact("refs", "dataset").add_reference(f"{web.url}/slow")


def test_without_ranges_parts_are_read_all_the_same(web: Web) -> None:
    web.contents["/data"], web.etags["/data"], web.has_ranges = BEFORE, '"1"', False
    (entry,) = logged(f"{web.url}/data")._contents
    ranges = references.opened(60.0).of(entry.ref).ranges(entry)
    assert (ranges.size, ranges.read(1, 4)) == (len(BEFORE), BEFORE[1:4])
    ranges.close()


def test_parts_are_read_of_what_has_a_weak_etag(web: Web) -> None:
    web.contents["/part"] = BEFORE
    web.etags["/part"] = 'W/"1"'
    artifact = logged(f"{web.url}/part")
    with artifact.open("part") as file:
        assert file.read() == BEFORE
    with artifact.open("part") as file:
        web.etags["/part"] = 'W/"2"'
        with pytest.raises(ReferenceChanged):
            file.read()


@pytest.mark.parametrize("has_ranges", [True, False])
def test_an_empty_page_is_an_empty_file(web: Web, has_ranges: bool, tmp_path: Path) -> None:
    web.contents["/empty"], web.has_ranges = b"", has_ranges
    artifact = logged(f"{web.url}/empty")
    assert artifact.open("empty").read() == content(artifact, tmp_path) == b""


def test_an_empty_etag_is_none(web: Web) -> None:
    web.contents["/data"], web.etags["/data"] = BEFORE, '""'
    (entry,) = logged(f"{web.url}/data").manifest.entries.values()
    assert (entry.etag, entry.digest) == (None, f"{web.url}/data")


def test_an_empty_etag_that_was_recorded_says_nothing(web: Web, tmp_path: Path) -> None:
    web.contents["/data"], web.etags["/data"] = BEFORE, '"1"'
    (logged_now,) = logged(f"{web.url}/data")._contents
    entry = logged_now._replace(digest="")
    schemes = references.opened(60.0)
    ((_, found),) = checking.check(schemes, iter([entry]))
    assert found.state is State.UNCHECKED
    schemes.of(entry.ref).fetch(entry, str(tmp_path / "data"))
    assert (tmp_path / "data").read_bytes() == BEFORE


def test_a_server_that_lost_its_etags_is_not_believed(web: Web, tmp_path: Path) -> None:
    web.contents["/data"], web.etags["/data"] = BEFORE, '"1"'
    artifact = logged(f"{web.url}/data")
    del web.etags["/data"]
    assert state(artifact) is State.LOST
    with pytest.raises(ReferenceChanged, match="tells none now"):
        content(artifact, tmp_path)
    folder = artifact.download(root=str(tmp_path / "rest"), allow_missing_references=True)
    assert os.listdir(folder) == []


def test_a_part_is_not_taken_for_the_whole(web: Web) -> None:
    web.contents["/data"], web.status["/data"] = BEFORE, 206
    with pytest.raises(Unavailable, match="answers 206"):
        logged(f"{web.url}/data")


@pytest.mark.parametrize("has_ranges", [True, False])
def test_what_a_server_packs_unasked_is_unpacked(
    web: Web, has_ranges: bool, tmp_path: Path
) -> None:
    web.contents["/page"] = gzip.compress(BEFORE) + gzip.compress(AFTER)
    web.codings["/page"], web.etags["/page"], web.has_ranges = "gzip", '"1"', has_ranges
    artifact = logged(f"{web.url}/page")
    assert content(artifact, tmp_path) == artifact.open("page").read() == BEFORE + AFTER
    assert state(artifact) is State.FRESH
    web.contents["/page"] = web.contents["/page"][:-9]
    with pytest.raises(Unavailable, match="before its end"):
        artifact.download(root=str(tmp_path / "cut"))


def test_what_is_packed_itself_stays_so(web: Web, tmp_path: Path) -> None:
    web.contents["/a.csv.gz"] = gzip.compress(BEFORE)
    web.codings["/a.csv.gz"], web.etags["/a.csv.gz"] = "x-gzip", '"1"'
    artifact = logged(f"{web.url}/a.csv.gz")
    assert gzip.decompress(content(artifact, tmp_path)) == BEFORE
    assert artifact.manifest.entries["a.csv.gz"].size == len(web.contents["/a.csv.gz"])


def test_a_coding_that_nobody_undoes_is_refused_when_it_is_added(web: Web) -> None:
    web.contents["/page"], web.codings["/page"] = BEFORE, "br"
    with pytest.raises(Unavailable, match="coded as br"):
        logged(f"{web.url}/page")
