"""Every object below a prefix of the tenant's own part of the import bucket."""

from collections.abc import Iterator

from services.ingest.sources.rows import (
    MAX_SOURCE,
    PhotoReaders,
    Position,
    RowProblem,
    SourceProblem,
    SourceRow,
    is_incidental,
)
from shared.contracts.catalogs import CatalogErrorCode, RowErrorCode
from shared.core.texts import storable
from shared.storage.files import S3Files


class PrefixSource:
    """A listing in key order; a row's line is the number of its object, from 1."""

    def __init__(self, files: S3Files, root: str, prefix: str, photos: PhotoReaders) -> None:
        """`root` is the tenant's import prefix, `prefix` is relative to it."""
        self._files = files
        self._root = root
        self._prefix = prefix
        self._photos = photos

    def rows(self, position: Position) -> Iterator[SourceRow]:
        """See Source. Objects named like directories, and what systems add, are no rows."""
        try:
            relative_key(self._prefix) if self._prefix else None
        except RowProblem as problem:
            raise SourceProblem(CatalogErrorCode.SOURCE_MISSING, problem.detail) from problem
        number = int(position.get("line", 0))
        listed = self._files.list(self._root + self._prefix, position.get("after"))
        for file in listed:
            if file.key.endswith("/") or is_incidental(file.key.rpartition("/")[2]):
                continue
            number += 1
            name = file.key.removeprefix(self._root)
            after = {"line": number, "after": file.key}
            yield SourceRow(number, storable(name, MAX_SOURCE), after, self._photos.by_key(name))


def relative_key(key: str) -> str:
    """Return `key` if it stays below the tenant's prefix, whatever the store makes of paths.

    Raises RowProblem: some stores keep objects in a file system and resolve `..`.
    """
    parts = key.rstrip("/").split("/")
    if "\\" in key or any(part in {"", ".", ".."} for part in parts):
        detail = "the key must be relative to your import prefix, without empty parts and '..'"
        raise RowProblem(RowErrorCode.INVALID_ROW.value, detail)
    return key
