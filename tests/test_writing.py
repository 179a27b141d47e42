"""A file is made or replaced as a whole: nobody sees half of it, and a crash leaves none."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from lineal.errors import NoSpace
from lineal.files import writing
from lineal.files.parts import PART
from lineal.files.reading import SMALL_BYTES
from lineal.files.stamps import Stamp
from lineal.files.writing import write_whole
from tests.test_files import file_size_limit

OPEN, WRITE = os.open, os.write


def require_nameless(folder: Path) -> None:
    """Skip a test where a file cannot get its name after it is written."""
    try:
        descriptor = os.open(folder, os.O_WRONLY | os.O_TMPFILE)
    except (OSError, AttributeError):
        pytest.skip("this file system has no nameless files")
    try:
        os.link(f"/proc/self/fd/{descriptor}", folder / "probe", src_dir_fd=descriptor)
    except OSError:
        pytest.skip("/proc is hidden")
    finally:
        os.close(descriptor)
    os.unlink(folder / "probe")


@pytest.fixture(params=[True, False], ids=["nameless", "renamed"])
def whole(request, monkeypatch, tmp_path) -> None:
    """Both ways to a whole file; which of them a file system has is not ours to say."""
    if request.param:
        require_nameless(tmp_path)
    else:
        monkeypatch.setattr(writing, "_HAS_NAMELESS", False)


@pytest.mark.usefixtures("whole")
def test_a_replacement_that_does_not_fit_leaves_the_old_file(tmp_path: Path) -> None:
    write_whole(str(tmp_path / "g"), b"old")
    with file_size_limit(10), pytest.raises(NoSpace):
        write_whole(str(tmp_path / "g"), bytes(11))
    assert (tmp_path / "g").read_bytes() == b"old"
    assert sorted(os.listdir(tmp_path)) == ["g", "work"]


@pytest.mark.usefixtures("whole")
def test_a_file_is_replaced_as_a_whole(tmp_path: Path) -> None:
    write_whole(str(tmp_path / "g"), b"old")
    with open(tmp_path / "g", "rb") as reader:
        write_whole(str(tmp_path / "g"), b"new!")
        assert reader.read() == b"old"
    assert (tmp_path / "g").read_bytes() == b"new!"


@pytest.mark.usefixtures("whole")
@pytest.mark.parametrize("data", [b"", b"x", bytes(SMALL_BYTES)])
def test_a_whole_file_has_the_mode_and_the_stamp_that_are_said(tmp_path: Path, data) -> None:
    path = str(tmp_path / "g")
    assert write_whole(path, data, mode=0o640) == Stamp.at(path)
    assert os.stat(path).st_mode & 0o777 == 0o640
    assert (tmp_path / "g").read_bytes() == data


@pytest.mark.usefixtures("whole")
def test_a_whole_file_replaces_a_link_and_not_what_it_leads_to(tmp_path: Path) -> None:
    (tmp_path / "other").write_bytes(b"other")
    (tmp_path / "g").symlink_to("other")
    write_whole(str(tmp_path / "g"), b"mine")
    assert not (tmp_path / "g").is_symlink()
    assert (tmp_path / "other").read_bytes() == b"other"


@pytest.mark.usefixtures("whole")
def test_a_folder_in_the_way_of_a_whole_file_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "g").mkdir()
    with pytest.raises(OSError, match="directory"):
        write_whole(str(tmp_path / "g"), b"x")
    assert sorted(os.listdir(tmp_path)) == ["g", "work"]


@pytest.mark.usefixtures("whole")
def test_a_whole_file_needs_no_folder_before_its_name(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_whole("g", b"x")
    assert (tmp_path / "g").read_bytes() == b"x"


@pytest.mark.usefixtures("whole")
def test_a_name_as_long_as_there_are_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / ("g" * 255)
    for data in (b"old", b"new"):
        write_whole(str(path), data)
        assert path.read_bytes() == data


@pytest.mark.usefixtures("whole")
def test_what_a_crash_leaves_of_a_replacement_has_the_name_of_a_part(
    tmp_path: Path, monkeypatch
) -> None:
    write_whole(str(tmp_path / "g"), b"old")
    seen: list[str] = []
    monkeypatch.setattr(writing.os, "replace", lambda part, _: seen.append(part))
    write_whole(str(tmp_path / "g"), b"new")
    assert [bool(PART.fullmatch(os.path.basename(part))) for part in seen] == [True]


@pytest.mark.parametrize("code", [errno.EISDIR, errno.EOPNOTSUPP])
def test_a_whole_file_is_renamed_where_there_are_no_nameless_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    def refuse(path: str, flags: int, mode: int = 0o777) -> int:
        if flags & os.O_TMPFILE == os.O_TMPFILE:
            raise OSError(code, os.strerror(code), path)
        return OPEN(path, flags, mode)

    if not writing._HAS_NAMELESS:
        pytest.skip("this kernel has no nameless files")
    monkeypatch.setattr(os, "open", refuse)
    write_whole(str(tmp_path / "g"), b"x")
    assert (tmp_path / "g").read_bytes() == b"x"


def test_a_nameless_file_is_written_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    require_nameless(tmp_path)
    written: list[int] = []

    def write(descriptor: int, data: bytes) -> int:
        written.append(WRITE(descriptor, data))
        return written[-1]

    monkeypatch.setattr(os, "write", write)
    for data in (b"old", b"new"):
        write_whole(str(tmp_path / "g"), data)
    assert written == [3, 3]


@pytest.mark.parametrize("error", [PermissionError, FileNotFoundError])
def test_a_whole_file_is_renamed_where_proc_is_hidden(tmp_path: Path, monkeypatch, error) -> None:
    def link(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(writing.os, "link", link)
    path = str(tmp_path / "g")
    assert write_whole(path, b"x") == Stamp.at(path)
    assert sorted(os.listdir(tmp_path)) == ["g", "work"]


def test_a_crash_half_way_leaves_nothing_of_a_whole_file(tmp_path: Path) -> None:
    require_nameless(tmp_path)
    child = os.fork()
    if child == 0:
        writing.os = SimpleNamespace(**vars(os) | {"link": lambda *_, **__: os._exit(9)})
        write_whole(str(tmp_path / "g"), b"x")
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9
    assert os.listdir(tmp_path) == ["work"]
