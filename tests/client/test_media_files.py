"""Html, Audio, Video, Object3D and Molecule: media that are one file."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import wave
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as PIL_Image
from tests.client.media_folder import Folder, round_trip

import lineal
from lineal.cli import output
from lineal.client.media.one_file import OneFile
from lineal.errors import HostilePath, IntegrityError, Invalid, MissingFile

PDB = "HEADER    WATER\nHETATM    1  O   HOH A   1       0.000   0.000   0.000\nEND\n"


def frames(time: int = 3, channels: int = 3, height: int = 5, width: int = 7) -> Any:
    shades = np.arange(time * channels * height * width) % 251
    return shades.astype("uint8").reshape(time, channels, height, width)


def samples_of(audio: lineal.Audio) -> tuple[list[int], int, int]:
    """Return (samples, channels, samples a second)."""
    with wave.open(io.BytesIO(audio.content)) as file:
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2").tolist()
        return samples, file.getnchannels(), file.getframerate()


def one_of_each(folder: Path) -> list[OneFile]:
    molecule = folder / "water.pdb"
    molecule.write_text(PDB)
    return [
        lineal.Html("<h1>Report</h1>"),
        lineal.Audio(np.zeros(10), sample_rate=8000, caption="silence"),
        lineal.Video(frames(), caption="noise"),
        lineal.Object3D(np.zeros((4, 3)), caption="dot"),
        lineal.Molecule(str(molecule), caption="water"),
    ]


@pytest.fixture(params=range(5), ids=["html", "audio", "video", "object3d", "molecule"])
def medium(request: pytest.FixtureRequest, tmp_path: Path) -> OneFile:
    return one_of_each(tmp_path)[request.param]


def test_comes_back_from_an_artifact_as_it_was(medium: OneFile, tmp_path: Path) -> None:
    found = round_trip(medium, tmp_path)
    assert type(found) is type(medium)
    assert found == medium
    assert found.content == medium.content
    assert (found.caption, found.format) == (medium.caption, medium.format)


def test_is_taken_from_another_artifact_by_reference(medium: OneFile, tmp_path: Path) -> None:
    first, second = Folder(tmp_path / "a", name="a"), Folder(tmp_path / "b", name="b")
    found = first.get(first.add(medium, "x"))
    stub = found.write(second)
    assert second.entries[stub["path"]].ref == f"folder://a/{medium.write(first)['path']}"


def test_is_a_cell_of_a_table(medium: OneFile, tmp_path: Path) -> None:
    table = lineal.Table(columns=["id", "medium"], data=[[1, medium], [2, None]])
    found = round_trip(table, tmp_path)
    assert found.data[0][1] == medium
    assert found.data[1][1] is None


def test_is_logged_as_a_file_of_the_run(medium: OneFile) -> None:
    with lineal.init() as run:
        run.log({"val/x": medium})
        value = run.summary["val/x"]
    stored = lineal.Api().run(run.path)
    assert value["_type"] == type(medium).type_name
    assert value["path"].startswith(f"{type(medium).folder}/val/x_0_{value['sha256'][:20]}.")
    assert stored.history(pandas=False)[0]["val/x"]["path"] == value["path"]
    with stored.file(value["path"]).download(replace=True) as file:
        assert Path(file.name).read_bytes() == medium.content
    assert value["path"] in output.cell(value)


def test_lists_are_logged_as_one_value(medium: OneFile) -> None:
    with lineal.init() as run:
        run.log({"x": [medium, medium]})
        value = dict(run.summary["x"])
    assert (value["_type"], value["count"]) == (type(medium).list_type, 2)
    assert value["captions"] == [medium.caption or ""] * 2
    stored = {file.name for file in lineal.Api().run(run.path).files()}
    assert stored >= set(value["filenames"])
    assert output.cell(value).startswith("2 ")
    assert value["filenames"][0] in output.cell(value)


def test_a_key_longer_than_any_path_is_said() -> None:
    with lineal.init(project="p") as run, pytest.raises(HostilePath, match="too long"):
        run.log({"/".join(["folder" * 20] * 40): lineal.Html("page")})


def test_a_list_of_different_media_is_refused_before_anything_is_stored(tmp_path: Path) -> None:
    html, audio, *_ = one_of_each(tmp_path)
    with lineal.init() as run, pytest.raises(Invalid, match="`Audio` at 1"):
        run.log({"x": [html, audio]})
    assert not [file for file in lineal.Api().run(run.path).files() if "media" in file.name]


def test_is_added_to_an_artifact_and_got_from_it(medium: OneFile) -> None:
    artifact = lineal.Artifact("media", type="dataset")
    artifact.add(medium, "one")
    with lineal.init() as run:
        run.log_artifact(artifact)
    assert lineal.Api().artifact("media:latest").get("one") == medium


def test_notebooks_show_pages_sounds_and_videos(tmp_path: Path) -> None:
    _, audio, video, *_ = one_of_each(tmp_path)
    page = lineal.Html('<a href="x">&amp;</a>')._repr_html_()
    assert 'sandbox="allow-scripts"' in page
    assert "&lt;a href=&quot;x&quot;&gt;&amp;amp;&lt;/a&gt;" in page
    assert '<audio controls src="data:audio/wav;base64,' in audio._repr_html_()
    assert '<img src="data:image/gif;base64,' in video._repr_html_()
    assert "silence" in audio._repr_html_()


@pytest.mark.parametrize(
    "stub", [{}, {"path": 5}, {"path": "a", "size": [1]}, {"path": "a", "sha256": 1}]
)
def test_foreign_json_is_no_medium(stub: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(IntegrityError, match="not Html"):
        lineal.Html.read({"_type": "html-file", **stub}, Folder(tmp_path))


# --- Html ---


def test_html_is_a_text_a_file_or_what_is_read(tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    path.write_text("<p>ü</p>", encoding="utf-8")
    with path.open(encoding="utf-8") as text, path.open("rb") as raw:
        for data in (str(path), path, text, raw, "<p>ü</p>"):
            assert lineal.Html(data).html == "<p>ü</p>"
    assert lineal.Html(str(path), data_is_not_path=True).html == str(path)
    assert lineal.Html("\0").html == "\0"


def test_a_path_of_no_page_and_what_is_no_page_are_named(tmp_path: Path) -> None:
    with pytest.raises(MissingFile, match=r"none\.html"):
        lineal.Html(tmp_path / "none.html")
    with pytest.raises(Invalid, match="not int"):
        lineal.Html(3)  # type: ignore[arg-type]  # what users pass


def test_a_page_given_by_path_is_the_file_when_it_is_logged(tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    path.write_text("one")
    html = lineal.Html(path)
    path.write_text("two")
    assert round_trip(html, tmp_path).html == "two"


# --- Audio ---


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ([0.0, 0.5, -1.0, 2.0, float("nan")], [0, 16384, -32767, 32767, 0]),
        (np.array([0, 128, 255], "uint8"), [-32768, 0, 32512]),
        (np.array([-128, 1], "int8"), [-32768, 256]),
        (np.array([-32768, 5], "int16"), [-32768, 5]),
        (np.array([1 << 30, -(1 << 31)], "int32"), [16384, -32768]),
        ([1, 2, 3], [1, 2, 3]),
    ],
)
def test_samples_become_wav_of_16_bits(given: Any, kept: list[int]) -> None:
    assert samples_of(lineal.Audio(given, sample_rate=16000)) == (kept, 1, 16000)


def test_channels_are_kept() -> None:
    audio = lineal.Audio(np.array([[0.0, 1.0], [0.0, -1.0]]), sample_rate=8000)
    assert samples_of(audio) == ([0, 32767, 0, -32767], 2, 8000)


def test_a_sound_file_is_kept_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "a.MP3"
    path.write_bytes(b"any bytes")
    audio = lineal.Audio(path, caption="c")
    assert (audio.format, audio.content) == ("mp3", b"any bytes")


@pytest.mark.parametrize(
    ("samples", "rate", "why"),
    [
        ([0.1], None, "sample_rate"),
        ([], 8000, "shape"),
        (np.zeros((2, 2, 2)), 8000, "shape"),
        (np.zeros((2, 44100)), 44100, "transpose"),
        ([0.1], 0, "samples a second"),
        ([0.1], "8000", "samples a second"),
        ([0.1], [8000, 8000], "samples a second"),
        (np.zeros((2, 2)), 2e9, "samples a second"),
        ([1 << 40], 8000, "16 or 32 bits"),
        (["a"], 8000, "values"),
    ],
)
def test_samples_that_are_no_sound_are_refused(samples: Any, rate: Any, why: str) -> None:
    with pytest.raises(Invalid, match=why):
        lineal.Audio(samples, sample_rate=rate)


# --- Video ---


def test_frames_become_a_gif_of_as_many_frames() -> None:
    video = lineal.Video(frames(), fps=10)
    with PIL_Image.open(io.BytesIO(video.content)) as image:
        assert (image.format, image.size, image.n_frames) == ("GIF", (7, 5), 3)
        assert image.info["duration"] == 100


@pytest.mark.parametrize(("count", "size"), [(1, (7, 5)), (2, (14, 5)), (3, (14, 10))])
def test_a_batch_is_one_video_of_tiles(count: int, size: tuple[int, int]) -> None:
    batch = np.stack([frames()] * count)
    with PIL_Image.open(io.BytesIO(lineal.Video(batch).content)) as image:
        assert image.size == size


@pytest.mark.parametrize("format", ["mp4", "webm", "ogg"])
@pytest.mark.parametrize("channels", [1, 4])
def test_frames_become_a_film(format: str, channels: int, tmp_path: Path) -> None:
    ffmpeg = pytest.importorskip("imageio_ffmpeg")
    video = lineal.Video(frames(6, channels, 33, 47), fps=5, format=format)
    path = tmp_path / f"film.{format}"
    path.write_bytes(video.content)
    read = subprocess.run(
        [ffmpeg.get_ffmpeg_exe(), "-i", path, "-f", "rawvideo", "-pix_fmt", "gray", "-"],
        capture_output=True,
    )
    assert len(read.stdout) == 6 * 48 * 34  # even, as players want it
    assert b"Duration: 00:00:01.20" in read.stderr


def test_a_video_file_is_kept_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    path.write_bytes(b"any bytes")
    assert lineal.Video(str(path)).content == b"any bytes"
    with path.open("rb") as file:
        assert lineal.Video(file).format == "mp4"
    video = lineal.Video(io.BytesIO(b"any bytes"), format="webm")
    assert (video.format, video.content) == ("webm", b"any bytes")


def test_what_is_no_video_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.avi").write_bytes(b"")
    with pytest.raises(Invalid, match=r"\.gif, \.mp4"):
        lineal.Video(tmp_path / "a.avi")
    with pytest.raises(Invalid, match="'avi'"):
        lineal.Video(frames(), format="avi")
    with pytest.raises(Invalid, match=r"'\.avi'"):
        lineal.Video(io.BytesIO(b""), format="avi")
    with pytest.raises(Invalid, match="shape"):
        lineal.Video(np.zeros((3, 5, 7)))
    for fps in (0, 1e-5, "4"):
        with pytest.raises(Invalid, match="fps"):
            lineal.Video(frames(), fps=fps)  # type: ignore[arg-type]  # as users may


# --- Object3D ---


@pytest.mark.parametrize("columns", [3, 4, 6])
def test_points_are_kept_as_json(columns: int) -> None:
    points = np.arange(2 * columns, dtype="float32").reshape(2, columns)
    found = lineal.Object3D(points)
    assert found.format == "pts.json"
    assert json.loads(found.content) == points.tolist()
    assert lineal.Object3D.from_numpy(points) == found


def test_a_scene_has_points_boxes_and_vectors() -> None:
    box = {"corners": np.zeros((8, 3)), "label": "car", "color": [255, 0, 0]}
    scene = lineal.Object3D.from_point_cloud([[0, 0, 1]], [box], [{"start": (0, 0, 0)}])
    assert json.loads(scene.content) == {
        "type": "lidar/beta",
        "points": [[0, 0, 1]],
        "boxes": [{**box, "corners": [[0.0] * 3] * 8}],
        "vectors": [{"start": [0, 0, 0]}],
    }


def test_a_scene_may_have_no_boxes_and_no_vectors() -> None:
    scene = lineal.Object3D.from_point_cloud([[0, 0, 1]], boxes=[], vectors=None)
    assert json.loads(scene.content)["vectors"] == []
    scene = lineal.Object3D.from_point_cloud([], [{"corners": [], "color": [0, 0, 0]}])
    assert json.loads(scene.content)["points"] == []


def test_a_box_is_made_of_center_size_and_orientation() -> None:
    quarter = (2, 0, 0, 2)  # of a turn about z
    box = lineal.box3d(
        center=(10, 0, 0), size=(2, 4, 6), orientation=quarter, color=(1, 0, 0), label="car"
    )
    corners = {(10 + y, x, z) for x in (-1, 1) for y in (-2, 2) for z in (-3, 3)}
    assert {tuple(map(round, corner)) for corner in box["corners"]} == corners
    straight = lineal.box3d(center=(0, 0, 0), size=(2, 2, 2), orientation=(1, 0, 0, 0), color=())
    assert straight["corners"][:2] == ((-1, -1, -1), (-1, -1, 1))
    scene = lineal.Object3D.from_point_cloud([[0, 0, 1]], [box])
    assert json.loads(scene.content)["boxes"][0]["label"] == "car"


@pytest.mark.parametrize(
    "wrong",
    [{"center": (0, 0)}, {"size": 1}, {"orientation": (1, 0, 0)}, {"orientation": (0, 0, 0, 0)}],
)
def test_what_makes_no_box_is_refused(wrong: dict[str, Any]) -> None:
    right = {"center": (0, 0, 0), "size": (1, 1, 1), "orientation": (1, 0, 0, 0)}
    with pytest.raises(Invalid, match=next(iter(wrong))):
        lineal.box3d(**{**right, **wrong}, color=(1, 0, 0))


def test_a_model_is_kept_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "cube.OBJ").write_text("v 0 0 0\n")
    assert lineal.Object3D.from_file(tmp_path / "cube.OBJ").format == "obj"
    with (tmp_path / "cube.OBJ").open() as file:
        assert lineal.Object3D(file).content == b"v 0 0 0\n"
    assert lineal.Object3D(io.StringIO("v"), file_type=".stl").format == "stl"
    with pytest.raises(Invalid, match="None"):
        lineal.Object3D(io.StringIO("v"))


@pytest.mark.parametrize(
    "data",
    [
        np.zeros((2, 5)),
        np.zeros(3),
        np.zeros(0),
        {"type": "other"},
        {},
        {"type": "lidar/beta", "boxes": 5},
        {"type": "lidar/beta", "vectors": {"start": [0, 0, 0]}},
        "absent.txt",
    ],
)
def test_what_is_no_object_is_refused(data: Any) -> None:
    with pytest.raises(Invalid):
        lineal.Object3D(data)


# --- Molecule ---


def test_a_molecule_is_a_file_of_a_known_format(tmp_path: Path) -> None:
    assert lineal.Molecule(io.StringIO(PDB), file_type="pdb").content == PDB.encode()
    (tmp_path / "a.txt").write_text(PDB)
    with pytest.raises(Invalid, match=r"\.pdb"):
        lineal.Molecule(tmp_path / "a.txt")
    with pytest.raises(Invalid, match="not int"):
        lineal.Molecule(3)  # type: ignore[arg-type]  # what users pass


def test_rdkit_makes_molecules(tmp_path: Path) -> None:
    chem = pytest.importorskip("rdkit.Chem")
    ethanol = lineal.Molecule.from_smiles("CCO", caption="ethanol")
    assert (ethanol.caption, ethanol.format) == ("ethanol", "pdb")
    assert ethanol.content.count(b"HETATM") == 9
    flat = lineal.Molecule.from_rdkit(chem.MolFromSmiles("CCO"), convert_to_3d_and_optimize=False)
    assert flat.content.count(b"HETATM") == 3
    path = tmp_path / "ethanol.mol"
    path.write_text(chem.MolToMolBlock(chem.MolFromSmiles("CCO")))
    assert lineal.Molecule.from_rdkit(path).content.count(b"HETATM") == 9
    for wrong in ("CCO(", ""):
        with pytest.raises(Invalid, match="no molecule"):
            lineal.Molecule.from_smiles(wrong)
    path.write_text("no molecule")
    for file in (path, tmp_path / "a.txt", 3):
        with pytest.raises(Invalid):
            lineal.Molecule.from_rdkit(file)
    with pytest.raises(MissingFile):
        lineal.Molecule.from_rdkit(tmp_path / "none.sdf")


@pytest.mark.parametrize("make", [lineal.Molecule.from_smiles, lineal.Molecule.from_rdkit])
def test_molecules_without_rdkit_say_what_to_install(
    make: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "rdkit", None)
    with pytest.raises(Invalid, match="pip install rdkit"):
        make("CCO")


def test_media_load_no_library_before_they_need_one() -> None:
    script = (
        "import sys, lineal\n"
        "lineal.Html('x'); lineal.Molecule\n"
        "assert not {'numpy', 'PIL'} & sys.modules.keys()"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
