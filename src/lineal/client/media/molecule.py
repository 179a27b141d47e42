"""Molecules, as files of the formats that chemists use."""

from __future__ import annotations

import os
from typing import IO, ClassVar

from lineal.client.media.one_file import OneFile, file_at, file_from
from lineal.errors import Invalid

FORMATS = ("pdb", "pqr", "mmcif", "mcif", "cif", "sdf", "sd", "gro", "mol2", "mmtf")


class Molecule(OneFile):
    """A molecule.

    data_or_path: path of a file that ends in one of `FORMATS`, kept as it is, or such a file open
    for reading, with `file_type` unless its name ends so.
    Raises Invalid, or MissingFile for a path that is not a file.
    """

    type_name: ClassVar[str] = "molecule-file"
    folder: ClassVar[str] = "media/molecule"
    list_type: ClassVar[str] = "molecule"

    def __init__(
        self,
        data_or_path: str | os.PathLike[str] | IO[str] | IO[bytes],
        caption: str | None = None,
        file_type: str | None = None,
    ) -> None:
        if isinstance(data_or_path, str | os.PathLike):
            file = file_at(data_or_path, "Molecule", FORMATS)
        elif callable(getattr(data_or_path, "read", None)):
            file = file_from(data_or_path, "Molecule", file_type, FORMATS)
        else:
            raise Invalid(
                f"Molecule takes a path or an open file, not {type(data_or_path).__name__}"
            )
        super().__init__(file, caption)
