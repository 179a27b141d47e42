"""Molecules, as files of the formats that chemists use."""

from __future__ import annotations

import io
import os
from typing import IO, TYPE_CHECKING, Any, ClassVar

from lineal.client.media.one_file import OneFile, file_at, file_from
from lineal.client.media.types import needs_package
from lineal.errors import Invalid, MissingFile

if TYPE_CHECKING:
    from typing import Self

FORMATS = ("pdb", "pqr", "mmcif", "mcif", "cif", "sdf", "sd", "gro", "mol2", "mmtf")
RDKIT_FORMATS = ("mol", "sdf")
"""Those that `from_rdkit` reads."""


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

    @classmethod
    def from_rdkit(
        cls,
        data_or_path: Any,
        caption: str | None = None,
        convert_to_3d_and_optimize: bool = True,
        mmff_optimize_molecule_max_iterations: int = 200,
    ) -> Self:
        """Make one of a `Mol` of RDKit, or of a file that RDKit reads; kept as PDB.

        data_or_path: a path ends in one of `RDKIT_FORMATS`; of several molecules the first counts.
        convert_to_3d_and_optimize: add hydrogens and find coordinates, which may take long.
        Raises Invalid, also for what RDKit cannot read, or MissingFile.
        """
        chem, all_chem = _rdkit()
        molecule = data_or_path
        if isinstance(data_or_path, str | os.PathLike):
            molecule = _read(chem, os.fspath(data_or_path))
        if not isinstance(molecule, chem.Mol):
            raise Invalid(f"Molecule.from_rdkit takes a Mol or a path, not {data_or_path!r}")
        if convert_to_3d_and_optimize:
            molecule = chem.AddHs(molecule)
            if all_chem.EmbedMolecule(molecule) != 0:
                raise Invalid(
                    "RDKit finds no coordinates for this molecule; pass "
                    "convert_to_3d_and_optimize=False"
                )
            all_chem.MMFFOptimizeMolecule(molecule, maxIters=mmff_optimize_molecule_max_iterations)
        return cls(io.StringIO(chem.MolToPDBBlock(molecule)), caption, file_type="pdb")

    @classmethod
    def from_smiles(
        cls,
        data: str,
        caption: str | None = None,
        sanitize: bool = True,
        convert_to_3d_and_optimize: bool = True,
        mmff_optimize_molecule_max_iterations: int = 200,
    ) -> Self:
        """Make one of a SMILES text by RDKit, as `from_rdkit` does; raises Invalid for another."""
        chem, _ = _rdkit()
        molecule = chem.MolFromSmiles(data, sanitize=sanitize)
        if molecule is None or molecule.GetNumAtoms() == 0:
            raise Invalid(f"RDKit reads no molecule from {data!r}")
        return cls.from_rdkit(
            molecule, caption, convert_to_3d_and_optimize, mmff_optimize_molecule_max_iterations
        )


def _rdkit() -> tuple[Any, Any]:
    try:
        from rdkit import Chem  # slow optional dependency
        from rdkit.Chem import AllChem
    except ImportError as error:
        needs_package("To convert molecules, Molecule", "rdkit", error)
    return Chem, AllChem


def _read(chem: Any, path: str) -> Any:
    """Return the first molecule of a file; raises Invalid, MissingFile."""
    ending = path.lower().rpartition(".")[2]
    if ending not in RDKIT_FORMATS:
        raise Invalid(f"{path} is no file for RDKit: its name ends in none of {RDKIT_FORMATS}")
    if not os.path.isfile(path):
        raise MissingFile(f"No file at {path} to make Molecule of")
    if ending == "sdf":
        with chem.SDMolSupplier(path) as supplier:
            molecule = next(supplier, None)
    else:
        molecule = chem.MolFromMolFile(path)
    if molecule is None:
        raise Invalid(f"RDKit reads no molecule from {path}")
    return molecule
