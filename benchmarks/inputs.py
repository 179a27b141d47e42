"""The files that are logged: written once, before anything is measured."""

from __future__ import annotations

import os
import random

FILES_PER_FOLDER = 100
CHUNK_BYTES = 8 << 20


def small_files(root: str, count: int, size_bytes: int, seed: int = 1) -> list[str]:
    """Write files of random bytes, a hundred to a folder; returns their paths."""
    chance = random.Random(seed)
    paths = []
    for number in range(count):
        folder = os.path.join(root, f"part-{number // FILES_PER_FOLDER:05}")
        if number % FILES_PER_FOLDER == 0:
            os.makedirs(folder)
        paths.append(os.path.join(folder, f"item-{number:07}.bin"))
        with open(paths[-1], "wb") as file:
            file.write(chance.randbytes(size_bytes))
    return paths


def rewrite(paths: list[str], size_bytes: int, seed: int) -> None:
    """Give existing files new content of the same size."""
    chance = random.Random(seed)
    for path in paths:
        with open(path, "wb") as file:
            file.write(chance.randbytes(size_bytes))


def large_file(path: str, size_bytes: int) -> None:
    chance = random.Random(2)
    with open(path, "wb") as file:
        for _ in range(size_bytes // CHUNK_BYTES):
            file.write(chance.randbytes(CHUNK_BYTES))
