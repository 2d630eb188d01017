"""Parquet manifests: one row group at a time, only the columns that are ours."""

from collections.abc import Iterator
from typing import BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from services.ingest.sources.manifest import invalid_manifest, named_columns
from services.ingest.sources.rows import PhotoReaders, Position, SourceRow, row_of

_ROWS_AT_ONCE = 1024
# A row group is decoded as a whole. Writers make them of about a million rows.
_MAX_GROUP_BYTES = 1024 * 1024 * 1024
# What pyarrow raises for damaged files. A store that is away is a StorageError.
_DAMAGED = (pa.ArrowException, ValueError, OSError)


class ParquetSource:
    """A Parquet file; a row's line is its number, from 1."""

    def __init__(self, stream: BinaryIO, photos: PhotoReaders) -> None:
        self._stream = stream
        self._photos = photos

    def rows(self, position: Position) -> Iterator[SourceRow]:
        """See Source."""
        try:
            file = pq.ParquetFile(self._stream, pre_buffer=False)
        except _DAMAGED as error:
            raise invalid_manifest(f"not a Parquet file: {error}") from error
        columns = named_columns(file.schema_arrow.names)
        first = 0
        for group in range(file.num_row_groups):
            facts = file.metadata.row_group(group)
            if facts.total_byte_size > _MAX_GROUP_BYTES:
                raise invalid_manifest(f"row group {group} has more than {_MAX_GROUP_BYTES} bytes")
            if first + facts.num_rows > int(position.get("row", 0)):
                yield from self._group(file, group, first, position, columns)
            first += facts.num_rows

    def _group(
        self,
        file: pq.ParquetFile,
        group: int,
        first: int,
        position: Position,
        columns: list[str | None],
    ) -> Iterator[SourceRow]:
        names = {
            theirs: ours
            for theirs, ours in zip(file.schema_arrow.names, columns, strict=True)
            if ours is not None
        }
        done = int(position.get("row", 0))
        number = first
        rows = file.metadata.num_rows
        try:
            batches = file.iter_batches(_ROWS_AT_ONCE, row_groups=[group], columns=list(names))
            for batch in batches:
                if number + batch.num_rows <= done:
                    number += batch.num_rows
                    continue
                for values in batch.to_pylist():
                    number += 1
                    if number > done:
                        fields = {names[name]: value for name, value in values.items()}
                        yield row_of(number, {"row": number, "rows": rows}, fields, self._photos)
        except _DAMAGED as error:
            raise invalid_manifest(f"row group {group} cannot be read: {error}") from error
