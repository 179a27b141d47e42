from __future__ import annotations

from pathlib import Path

from lineal.core.access import Actor
from lineal.files.folders import make_folders
from lineal.service.instance import Instance
from lineal.service.status import status


def test_files_in_folders_of_any_depth_are_counted(
    instance: Instance, owner: Actor, deep: str
) -> None:
    folder = f"{instance.home.runs}/{deep}"
    make_folders(folder)
    Path(folder, "a").write_bytes(b"12345")
    assert status(instance, owner).sizes["runs"] == 5
