"""A folder as blob store.

A key `sha256/ab/cd/<hex>/<nonce>` is the file `sha256/ab/<hex>-<nonce>`: 256 folders instead of
one per blob, because making a folder costs as much as writing a small file
(docs/design/001-storage.md, "Small files"). Or it is in one of the packs in `packs/<nonce>`,
where many small files came together (docs/design/007-packs.md).
"""

from __future__ import annotations

import errno
import io
import os
import secrets
import stat
from collections.abc import Iterable, Iterator, Sequence
from typing import BinaryIO, TypeVar

from lineal.blobs.packed import PACKS, PackedBlobs
from lineal.blobs.store import LocalPlace, StoredFile
from lineal.core.digest import PREFIX, Digest, Key, of_bytes, of_key, storage_key
from lineal.core.transfers import Handover
from lineal.errors import IntegrityError, MissingFile, SourceChanged, Unavailable
from lineal.files.copying import copy_and_hash
from lineal.files.flushing import flush
from lineal.files.reading import Advance, open_file
from lineal.files.refusals import access_to, room_on, unreadable
from lineal.files.writing import write_new

_LOOSE = "sha256"
"""Folder of blobs that are files of their own."""
_PARTS = "parts"
"""Folder of files that are being written; a rename makes them blobs."""
_NO_LINK = {errno.EXDEV, errno.EPERM, errno.EMLINK, errno.EOPNOTSUPP, errno.EACCES, errno.ENOTSUP}

_BLOCK_BYTES = 512
"""What `st_blocks` counts in."""

Name = TypeVar("Name", bound=str)


class LocalStore:
    """`BlobStore` in a folder; safe for any number of processes, since keys are never shared."""

    def __init__(self, root: str) -> None:
        self.root = root
        self.begun_by = os.path.join(root, _LOOSE)
        """The folder that is made with the first blob, and stays."""
        self._parts = os.path.join(root, _PARTS)
        self._packed = PackedBlobs(os.path.join(root, PACKS))
        self._was_begun = False

    def is_begun(self) -> bool:
        """Tell whether anything was ever stored here.

        If so, and it is gone later, nothing is stored any more until it is back: the folder may be
        one on which a disk is mounted again.
        """
        is_begun = any(map(os.path.isdir, (self.begun_by, os.path.join(self.root, PACKS))))
        self._was_begun = self._was_begun or is_begun
        return is_begun

    def put(
        self,
        key: Key,
        source: str,
        *,
        size: int,
        handover: Handover = Handover.COPY,
        advance: Advance | None = None,
    ) -> None:
        target, is_ours = self._file(key), handover is Handover.TAKE
        with room_on(target):
            if self.size(key) is not None:
                if is_ours:
                    _unlink(source)
                return
            if is_ours and self._move(source, target):
                return
            self._make_folder(target)
            if handover is Handover.LINK and self._link(source, target):
                return
        self._copy(key, source, target, size, advance)
        if is_ours:
            _unlink(source)

    def put_bytes(self, key: Key, data: bytes) -> None:
        if of_bytes(data) != of_key(key):
            raise SourceChanged(f"{len(data)} bytes do not have the digest of their key {key}")
        if self.size(key) is not None:
            return
        target = self._file(key)
        with room_on(target):
            self._make_folder(target)
            part = self._part()
            write_new(part, data)
            os.rename(part, target)

    def put_pack(self, key: Key, pack: str) -> list[Digest]:
        if not os.path.lexists(pack):  # an earlier attempt may have got this far
            earlier = next(self._packed.find([key]))
            if earlier is not None:
                return self._packed.held(earlier[0])
        target = self._packed.new_path(key)
        with room_on(target):
            if not self._move(pack, target):  # another file system
                self._make_folder(target)
                part = self._part()
                copy_and_hash(pack, part)
                os.rename(part, target)
                _unlink(pack)
        try:
            held = self._packed.held(target)  # in its place, since `sync` looks into it again
            if of_key(key) not in held:
                raise IntegrityError(f"The pack {pack} does not hold {key}")
        except IntegrityError:
            self._packed.remove(target)
            raise
        return held

    def sync(self, keys: Sequence[Key]) -> list[int | None]:
        paths: set[str] = set()
        sizes: list[int | None] = []
        for key, packed in zip(keys, self._packed.find(keys), strict=True):
            size = self._size(key) if packed is None else packed[1].length
            sizes.append(size)
            if size is not None:
                paths.add(self._file(key) if packed is None else packed[0])
        flush(paths, self.root)
        return sizes

    def open(self, key: Key) -> BinaryIO:
        packed = self._packed.read(key)
        if packed is not None:
            return io.BytesIO(packed)
        return open(open_file(self._file(key)), "rb")

    def size(self, key: Key) -> int | None:
        packed = next(self._packed.find([key]))
        return self._size(key) if packed is None else packed[1].length

    def _size(self, key: Key) -> int | None:
        path = self._file(key)
        try:
            with access_to(path):
                status = os.stat(path)
        except MissingFile:
            return None
        return status.st_size if stat.S_ISREG(status.st_mode) else None

    def places(self, keys: Sequence[Key]) -> list[LocalPlace | None]:
        return [
            LocalPlace(self._file(key))
            if packed is None
            else LocalPlace(packed[0], packed[1].offset, packed[1].length)
            for key, packed in zip(keys, self._packed.find(keys), strict=True)
        ]

    def delete(self, keys: Iterable[Key]) -> list[tuple[Key, OSError]]:
        # also where a pack has it: one that was sent file by file may have come in a pack later
        wanted = list(keys)
        return self._packed.delete(wanted) + _delete((key, self._file(key)) for key in wanted)

    def walk(self) -> Iterator[StoredFile]:
        for entry in self._walk():
            try:
                with access_to(entry.path):
                    status = entry.stat(follow_symlinks=False)
            except MissingFile:
                continue  # deleted, or renamed to its key, since the folder was read
            nonce = self._packed.nonce_of(entry.path)
            if nonce is not None:
                yield from self._inside(entry.path, status, nonce)
                continue
            name = self._name(entry.path)
            is_part = name.startswith(_PARTS + "/")
            yield StoredFile(name, status.st_size, status.st_mtime, _key_of(entry), is_part)

    def packed(self, nonce: str) -> Iterator[StoredFile]:
        for path in self._packed.paths(nonce):
            try:
                with access_to(path):
                    status = os.stat(path)
            except MissingFile:
                continue  # emptied this moment
            yield from self._inside(path, status, nonce)

    def _inside(self, pack: str, status: os.stat_result, nonce: str) -> Iterator[StoredFile]:
        name, modified_at = self._name(pack), status.st_mtime
        try:
            blobs = self._packed.inside(pack)
        except MissingFile:
            return  # emptied this moment
        if blobs is None:
            yield StoredFile(name, status.st_size, modified_at, None, is_part=True, nonce=nonce)
        elif not blobs:  # who emptied it was killed before it was removed
            on_disk = min(status.st_size, status.st_blocks * _BLOCK_BYTES)
            yield StoredFile(name, on_disk, modified_at, None, is_part=True)
        else:
            for key, size in blobs:
                yield StoredFile(name, size, modified_at, key, is_part=False)

    def _name(self, path: str) -> str:
        return path[len(os.path.join(self.root, "")) :]

    def delete_parts(self, names: Iterable[str]) -> list[tuple[str, OSError]]:
        return _delete((name, os.path.join(self.root, name)) for name in names)

    def _file(self, key: Key) -> str:
        _, first, _, hex_digits, nonce = key.split("/")
        return f"{self.begun_by}/{first}/{hex_digits}-{nonce}"

    def _part(self) -> str:
        part = f"{self._parts}/{secrets.token_hex(8)}"
        self._make_folder(part)
        return part

    def _make_folder(self, target: str) -> None:
        folder = os.path.dirname(target)
        if os.path.isdir(folder):
            return
        if self._was_begun and not self.is_begun():
            raise Unavailable(
                f"What was in {self.root} is gone since this process stored there. Is a disk not "
                "mounted any more, or was it moved away? Put it back, and repeat the call"
            )
        os.makedirs(folder, exist_ok=True)
        self.is_begun()

    def _move(self, source: str, target: str) -> bool:
        """Rename a file of ours; whether the folder is there is found out by trying."""
        try:
            os.rename(source, target)
        except FileNotFoundError as error:
            if not os.path.lexists(source):
                raise unreadable(source, error) from error
            self._make_folder(target)
            return self._move(source, target)
        except OSError as error:
            if error.errno == errno.EXDEV:
                return False
            raise
        return True

    def _link(self, source: str, target: str) -> bool:
        try:
            os.link(os.path.realpath(source), target)
        except FileExistsError:
            return True
        except FileNotFoundError as error:
            raise unreadable(source, error) from error
        except OSError as error:
            if error.errno in _NO_LINK:
                return False
            raise
        return True

    def _copy(self, key: Key, source: str, target: str, size: int, advance: Advance | None) -> None:
        with room_on(target):
            part = self._part()
            copied = copy_and_hash(source, part, advance=advance)
            if PREFIX + copied.hex_digest != of_key(key) or copied.size != size:
                os.unlink(part)
                raise SourceChanged(
                    f"File {source} changed after it was added; add it to a new artifact"
                )
            os.rename(part, target)

    def _walk(self) -> Iterator[os.DirEntry[str]]:
        # In another order each time: a sweep that is cut short would never come to the last ones.
        folders = [self.root]
        while folders:
            folder = folders.pop(secrets.randbelow(len(folders)))
            try:
                with access_to(folder), os.scandir(folder) as entries:
                    for entry in entries:
                        if entry.is_dir(follow_symlinks=False):
                            folders.append(entry.path)
                        else:
                            yield entry
            except MissingFile:
                continue


def _delete(paths: Iterable[tuple[Name, str]]) -> list[tuple[Name, OSError]]:
    failed = []
    for name, path in paths:
        try:
            os.unlink(path)
        except FileNotFoundError:
            continue  # an earlier attempt got this far
        except OSError as error:
            failed.append((name, error))
    return failed


def _unlink(path: str) -> None:
    try:
        os.unlink(path)
    except FileNotFoundError:
        return  # an earlier attempt got this far


def _key_of(entry: os.DirEntry[str]) -> Key | None:
    hex_digits, _, nonce = entry.name.partition("-")
    try:
        key = storage_key(Digest(PREFIX + hex_digits), nonce)
    except ValueError:
        return None
    folder = os.path.dirname(entry.path)
    return key if folder.endswith(f"sha256/{hex_digits[:2]}") else None
