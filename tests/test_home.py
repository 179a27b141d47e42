"""The home: its folders, and what is said where they cannot be (STO-1)."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from lineal.config import Settings
from lineal.errors import Unavailable
from lineal.home import Home, home_of


def test_home_is_absolute_and_holds_everything(tmp_path: Path) -> None:
    home = home_of(Settings(home="relative"))
    assert Path(home.root) == tmp_path / "work" / "relative"
    home.create()
    for path in (home.database, home.blobs, home.staging, home.spool, home.cache, home.runs):
        assert Path(path).parent == Path(home.root)
    assert Path(home.blobs).is_dir()


def test_a_new_home_is_for_its_user_alone_and_another_keeps_its_mode(tmp_path: Path) -> None:
    new, shared = Home(str(tmp_path / "new")), Home(str(tmp_path / "shared"))
    Path(shared.root).mkdir()
    Path(shared.root).chmod(0o2770)
    new.create()
    shared.create()
    assert stat.S_IMODE(os.stat(new.root).st_mode) == 0o700
    assert stat.S_IMODE(os.stat(shared.root).st_mode) == 0o2770


def test_a_home_whose_path_sqlite_cannot_open_is_refused(tmp_path: Path) -> None:
    home = Home(str(tmp_path.joinpath(*["x" * 100] * 5)))
    with pytest.raises(Unavailable, match=r"at most 500.*Set LINEAL_HOME to a shorter one"):
        home.create()


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become somebody else")
def test_a_user_without_a_home_is_told_to_name_one() -> None:
    child = os.fork()
    if child == 0:
        os.environ.pop("HOME", None)
        os.setuid(54_321)
        try:
            home_of(Settings())
        except Unavailable as error:
            os._exit(0 if "user 54321 has no home. Set LINEAL_HOME" in error.message else 2)
        os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_the_home_of_a_user_who_is_not_there_is_no_folder_of_that_name() -> None:
    with pytest.raises(Unavailable, match=r"~nobody-here/data is not known: there is no such user"):
        home_of(Settings(home="~nobody-here/data"))


def test_home_that_cannot_be_made_names_the_variable_to_set(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    home = home_of(Settings(home=str(tmp_path / "file" / "home")))
    with pytest.raises(Unavailable, match=r"Cannot write to .*file.home.*Set LINEAL_HOME"):
        home.create()


def test_a_part_of_the_home_that_leads_nowhere_is_named(tmp_path: Path) -> None:
    """As when the disk is not mounted that a link leads to."""
    home = Home(str(tmp_path / "home"))
    Path(home.root).mkdir()
    Path(home.blobs).symlink_to(tmp_path / "disk" / "blobs")
    with pytest.raises(Unavailable, match=r"blobs is a link to .*/disk/blobs, which is not there"):
        home.create()
    (tmp_path / "disk" / "blobs").mkdir(parents=True)
    Path(home.spool).write_text("")
    with pytest.raises(Unavailable, match="spool is a file and not a folder"):
        home.create()
