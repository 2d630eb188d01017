"""A catalog's rows as CSV, JSON Lines or Parquet, written while they are read.

Read in pages by line, each in a transaction of its own, rather than by one server-side cursor: a
client that downloads slowly would hold a transaction open for hours.
"""

import csv
import dataclasses
import functools
import io
import json
from collections.abc import AsyncIterator, Callable, Sequence
from enum import StrEnum
from types import UnionType
from typing import Any, Protocol, get_args, get_type_hints
from uuid import UUID

import pyarrow as pa
import pyarrow.parquet as pq
from sqlalchemy.orm import Session

from services.gateway.wiring import Gateway
from shared.db.catalogs.rows import ErrorRow, ResultRow

PAGE_ROWS = 2000
Row = ResultRow | ErrorRow
# `result_rows` or `error_rows` of shared.db.catalogs.rows.
ReadRows = Callable[[Session, UUID, int, int], Sequence[Row]]


class ExportFormat(StrEnum):
    """What rows can be downloaded as."""

    CSV = "csv"
    JSONL = "jsonl"
    PARQUET = "parquet"


MEDIA_TYPES = {
    ExportFormat.CSV: "text/csv",
    ExportFormat.JSONL: "application/x-ndjson",
    ExportFormat.PARQUET: "application/vnd.apache.parquet",
}


class _Encoder(Protocol):
    def page(self, rows: Sequence[Row]) -> bytes:
        """Return the bytes of some rows, possibly none yet."""

    def end(self) -> bytes:
        """Return what comes last."""


async def export(
    gateway: Gateway, catalog_id: UUID, kind: type[Row], read: ReadRows, fmt: ExportFormat
) -> AsyncIterator[bytes]:
    """Yield the file, a page of rows at a time; memory does not grow with the catalog."""
    encoder = _ENCODERS[fmt](kind)
    after = 0
    while True:
        work = functools.partial(_page, catalog_id, read, after, encoder)
        data, count, after = await gateway.in_database(work)
        if data:
            yield data
        if count < PAGE_ROWS:
            break
    yield encoder.end()


def _page(
    catalog_id: UUID, read: ReadRows, after: int, encoder: _Encoder, session: Session
) -> tuple[bytes, int, int]:
    rows = read(session, catalog_id, after, PAGE_ROWS)
    return encoder.page(rows), len(rows), rows[-1].line if rows else after


def columns(kind: type[Row]) -> list[str]:
    """Return the columns of the file."""
    return [field.name for field in dataclasses.fields(kind)]


class _Csv:
    """RFC 4180 with a header, in UTF-8. Texts that a spreadsheet would run are quoted with '."""

    def __init__(self, kind: type[Row]) -> None:
        self._names = columns(kind)
        self._header = True

    def page(self, rows: Sequence[Row]) -> bytes:
        buffer = io.StringIO(newline="")
        writer = csv.writer(buffer)
        if self._header:
            writer.writerow(self._names)
            self._header = False
        writer.writerows([[_cell(getattr(row, name)) for name in self._names] for row in rows])
        return buffer.getvalue().encode()

    def end(self) -> bytes:
        return b""


class _JsonLines:
    """One object a line."""

    def __init__(self, kind: type[Row]) -> None:
        self._names = columns(kind)

    def page(self, rows: Sequence[Row]) -> bytes:
        return "".join(
            json.dumps({name: _plain(getattr(row, name)) for name in self._names}) + "\n"
            for row in rows
        ).encode()

    def end(self) -> bytes:
        return b""


class _Sink(io.RawIOBase):
    """Holds what was written since it was last drained; nothing is sought in it."""

    def __init__(self) -> None:
        super().__init__()
        self._parts: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._parts.append(bytes(data))
        return len(self._parts[-1])

    def drain(self) -> bytes:
        data = b"".join(self._parts)
        self._parts.clear()
        return data


class _Parquet:
    """One row group a page; ids are texts."""

    def __init__(self, kind: type[Row]) -> None:
        hints = get_type_hints(kind)
        self._schema = pa.schema([(name, _arrow_type(hints[name])) for name in columns(kind)])
        self._sink = _Sink()
        self._writer = pq.ParquetWriter(self._sink, self._schema, compression="zstd")

    def page(self, rows: Sequence[Row]) -> bytes:
        if rows:
            values = {
                name: [_plain(getattr(row, name)) for row in rows] for name in self._schema.names
            }
            self._writer.write_table(pa.table(values, schema=self._schema))
        return self._sink.drain()

    def end(self) -> bytes:
        self._writer.close()
        return self._sink.drain()


_ENCODERS: dict[ExportFormat, Callable[[type[Row]], _Encoder]] = {
    ExportFormat.CSV: _Csv,
    ExportFormat.JSONL: _JsonLines,
    ExportFormat.PARQUET: _Parquet,
}


def _plain(value: Any) -> Any:
    return str(value) if isinstance(value, UUID) else value


def _cell(value: Any) -> Any:
    """Return a CSV cell; a leading `=`, `+`, `-` or `@` of a text would be run as a formula."""
    if isinstance(value, str) and value[:1] in {"=", "+", "-", "@"}:
        return f"'{value}"
    return _plain(value)


def _arrow_type(hint: Any) -> Any:
    inner = hint
    if isinstance(hint, UnionType):
        inner = next(part for part in get_args(hint) if part is not type(None))
    return {int: pa.int64(), float: pa.float64()}.get(inner, pa.string())
