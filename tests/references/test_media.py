"""Media that lie at a URL: an artifact refers to them, and fetches them when they are looked at."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image as PIL_Image

import lineal
from lineal.errors import Invalid
from tests.references.servers import Web


@pytest.fixture
def sound(web: Web) -> lineal.Audio:
    web.contents["/sounds/a.wav"] = lineal.Audio(np.zeros(10), sample_rate=8000).content
    return lineal.Audio(f"{web.url}/sounds/a.wav?download=1", caption="silence")


@pytest.fixture
def picture(web: Web) -> lineal.Image:
    buffer = io.BytesIO()
    PIL_Image.new("RGB", (3, 2), "red").save(buffer, "PNG")
    web.contents["/red.png"] = buffer.getvalue()
    return lineal.Image(f"{web.url}/red.png", caption="red")


def test_an_artifact_refers_to_them(
    web: Web, sound: lineal.Audio, picture: lineal.Image, home: object
) -> None:
    artifact = lineal.Artifact("media", "dataset")
    artifact.add(sound, "sound")
    artifact.add(lineal.Table(["n", "picture"], [[1, picture]]), "pictures")
    with lineal.init() as run:
        logged = run.log_artifact(artifact).wait()
    refs = {entry.ref for entry in logged.manifest.entries.values() if entry.ref}
    assert refs == {f"{web.url}/sounds/a.wav?download=1", f"{web.url}/red.png"}
    found = logged.get("sound")
    assert (found.caption, found.format) == ("silence", "wav")
    assert found.content == web.contents["/sounds/a.wav"]
    [[_, seen]] = logged.get("pictures").data
    assert (seen.caption, seen.width, seen.height) == ("red", 3, 2)
    assert seen == lineal.Image(PIL_Image.new("RGB", (3, 2), "red"), caption="red")


def test_making_and_showing_them_asks_nobody(
    web: Web, sound: lineal.Audio, picture: lineal.Image
) -> None:
    again = lineal.Image(f"{web.url}/red.png", caption="red")
    assert (picture == again, picture == lineal.Image(f"{web.url}/blue.png", caption="red")) == (
        True,
        False,
    )
    assert sound != lineal.Audio(np.zeros(10), sample_rate=8000, caption="silence")
    assert f"at {web.url}/red.png" in repr(picture)
    assert web.asked == []


def test_a_run_takes_none_and_says_what_to_do(
    sound: lineal.Audio, picture: lineal.Image, home: object
) -> None:
    with lineal.init() as run:
        for medium in (sound, picture, [picture, picture]):
            with pytest.raises(Invalid, match="is not on this machine: add it to an artifact"):
                run.log({"a": medium})


def test_a_url_of_no_such_file_is_refused() -> None:
    with pytest.raises(Invalid, match=r"ends in none of \.pdb"):
        lineal.Molecule("https://example.com/water.txt?name=water.pdb")
