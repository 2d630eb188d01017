"""Parquet manifests: a few rows at a time, only the columns that are ours.

Memory is bounded whatever the file says of itself: pages are measured before they are unpacked, no
value is longer than its page, and as few rows are taken at once as that allows.
"""

import io
from collections.abc import Iterator
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from services.ingest.sources.manifest import invalid_manifest, named_columns
from services.ingest.sources.parquet_pages import check_footer, chunk_sizes
from services.ingest.sources.rows import MAX_SOURCE, PhotoReaders, Position, SourceRow, row_of

_ROWS_AT_ONCE = 1024
# Values of a batch together: a column may name one value of a whole page in every row.
_MAX_BATCH_BYTES = 32 * 1024 * 1024
# The largest pages of our columns together: as many are unpacked at once.
_MAX_HELD_BYTES = 128 * 1024 * 1024
# Read at once from a column.
_BUFFER_BYTES = 1024 * 1024
# Of one text, in UTF-8; a longer one is cut here, and refused as too long.
_TEXT_BYTES = 4 * MAX_SOURCE + 4
_TEXT = "BYTE_ARRAY"
_TYPES = frozenset({_TEXT, "INT32", "INT64", "FLOAT", "DOUBLE", "BOOLEAN"})
# What pyarrow raises for damaged files. A store that is away is a StorageError.
_DAMAGED = (pa.ArrowException, ValueError, OSError)


class ParquetSource:
    """A Parquet file; a row's line is its number, from 1."""

    def __init__(self, stream: BinaryIO, photos: PhotoReaders) -> None:
        self._stream = stream
        self._photos = photos

    def rows(self, position: Position) -> Iterator[SourceRow]:
        """See Source."""
        file, names = self._open()
        done = int(position.get("row", 0))
        first = 0
        for group in range(file.num_row_groups):
            count = file.metadata.row_group(group).num_rows
            if first + count > done:
                largest = self._largest_page(file, group, set(names))
                at_once = max(1, min(_ROWS_AT_ONCE, _MAX_BATCH_BYTES // largest))
                yield from self._group(file, group, first, done, names, at_once)
            first += count

    def _open(self) -> tuple[pq.ParquetFile, dict[str, str]]:
        """Return the file, and our name of each of its columns that is ours."""
        try:
            check_footer(self._stream, self._stream.seek(0, io.SEEK_END))
            self._stream.seek(0)
            metadata = pq.read_metadata(self._stream)
            theirs = [metadata.schema.column(n) for n in range(metadata.num_columns)]
        except _DAMAGED as error:
            raise invalid_manifest(f"not a readable Parquet file: {error}") from error
        ours = named_columns([column.path for column in theirs])
        names: dict[str, str] = {}
        for column, name in zip(theirs, ours, strict=True):
            if name is None:
                continue
            if column.physical_type not in _TYPES or column.max_repetition_level:
                raise invalid_manifest(f"column {column.path!r} holds neither text nor numbers")
            names[column.path] = name
        try:
            file = pq.ParquetFile(
                self._stream,
                metadata=metadata,
                buffer_size=_BUFFER_BYTES,
                pre_buffer=False,
            )
        except _DAMAGED as error:
            raise invalid_manifest(f"not a readable Parquet file: {error}") from error
        return file, names

    def _largest_page(self, file: pq.ParquetFile, group: int, names: set[str]) -> int:
        """Return the bytes of the largest page of our columns; refuse what holds too much."""
        facts = file.metadata.row_group(group)
        held = largest = 0
        for number in range(facts.num_columns):
            chunk = facts.column(number)
            if chunk.path_in_schema not in names:
                continue
            # As pyarrow finds the first page.
            starts = [chunk.data_page_offset]
            if chunk.has_dictionary_page and (chunk.dictionary_page_offset or 0) > 0:
                starts.append(chunk.dictionary_page_offset)
            try:
                sizes = chunk_sizes(self._stream, min(starts), chunk.total_compressed_size)
            except ValueError as error:
                detail = f"row group {group}, column {chunk.path_in_schema!r}: {error}"
                raise invalid_manifest(detail) from error
            held += sizes.dictionary + sizes.data
            largest = max(largest, sizes.dictionary, sizes.data)
        if held > _MAX_HELD_BYTES:
            detail = f"row group {group} has pages of {held} bytes; at most {_MAX_HELD_BYTES} are"
            raise invalid_manifest(f"{detail} read. Write the file with pages of 1 MiB.")
        return max(1, largest)

    def _group(
        self,
        file: pq.ParquetFile,
        group: int,
        first: int,
        done: int,
        names: dict[str, str],
        at_once: int,
    ) -> Iterator[SourceRow]:
        number = first
        rows = file.metadata.num_rows
        try:
            batches = file.iter_batches(
                at_once, row_groups=[group], columns=list(names), use_threads=False
            )
            for batch in batches:
                if number + batch.num_rows <= done:
                    number += batch.num_rows
                    continue
                columns = {names[name]: _values(batch.column(name)) for name in batch.schema.names}
                for index in range(batch.num_rows):
                    number += 1
                    if number > done:
                        fields = {name: values[index] for name, values in columns.items()}
                        yield row_of(number, {"row": number, "rows": rows}, fields, self._photos)
        except _DAMAGED as error:
            raise invalid_manifest(f"row group {group} cannot be read: {error}") from error


def _values(column: pa.Array) -> list[Any]:
    """Return a column's values; of texts at most as much as tells that they are too long."""
    if isinstance(column, pa.DictionaryArray):
        column = column.dictionary_decode()
    kind = column.type
    if pa.types.is_string_view(kind) or pa.types.is_binary_view(kind):
        column = column.cast(pa.large_binary())
    elif pa.types.is_string(kind) or pa.types.is_large_string(kind):
        column = column.cast(pa.large_binary() if pa.types.is_large_string(kind) else pa.binary())
    if pa.types.is_binary(column.type) or pa.types.is_large_binary(column.type):
        column = pc.binary_slice(column, 0, _TEXT_BYTES)
    return list(column.to_pylist())
