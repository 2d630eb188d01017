"""CSV and JSON Lines: read line by line, so that the place of every row is a byte offset."""

import csv
import io
import json
from collections.abc import Iterable, Iterator
from typing import Any, BinaryIO

from services.ingest.sources.rows import (
    PhotoReaders,
    Position,
    SourceProblem,
    SourceRow,
    bad_row,
    row_of,
)
from shared.contracts.catalogs import CatalogErrorCode

MAX_LINE_BYTES = 256 * 1024
# Names that a column may have, in any case.
COLUMNS = {
    "url": "url",
    "image_url": "url",
    "photo_url": "url",
    "key": "key",
    "s3_key": "key",
    "custom_id": "custom_id",
    "id": "custom_id",
    "listing_id": "listing_id",
    "listing": "listing_id",
    "category": "category",
}
_DELIMITERS = ",;\t|"


class _BadLine(ValueError):
    """One line is not UTF-8 text."""


class _Lines:
    """Physical lines with their terminators; knows the place behind the last one."""

    def __init__(self, stream: BinaryIO, position: Position) -> None:
        self._stream = stream
        self.offset = int(position.get("offset", 0))
        self.number = int(position.get("line", 0))
        self._size = stream.seek(0, io.SEEK_END)
        stream.seek(self.offset)

    def __iter__(self) -> "_Lines":
        return self

    def __next__(self) -> str:
        raw = self._stream.readline(MAX_LINE_BYTES + 1)
        if not raw:
            raise StopIteration
        self.offset += len(raw)
        self.number += 1
        if len(raw) > MAX_LINE_BYTES:
            raise invalid_manifest(f"line {self.number} has more than {MAX_LINE_BYTES} bytes")
        if self.number == 1:
            raw = raw.removeprefix(b"\xef\xbb\xbf")
        try:
            return raw.decode()
        except UnicodeDecodeError as error:
            raise _BadLine("not UTF-8 text") from error

    @property
    def position(self) -> Position:
        # At the lines' length so far; for the expected end.
        rows = round(self.number * self._size / max(1, self.offset))
        return {"offset": self.offset, "line": self.number, "rows": rows}


class CsvSource:
    """A CSV file with a header; the delimiter is the one that the header has most of."""

    def __init__(self, stream: BinaryIO, photos: PhotoReaders) -> None:
        self._stream = stream
        self._photos = photos

    def rows(self, position: Position) -> Iterator[SourceRow]:
        """See Source. A row's line is the one that it begins on, the header being line 1."""
        start = _Lines(self._stream, {})
        columns, delimiter = _header(start)
        lines = _Lines(self._stream, position or start.position)
        reader = csv.reader(lines, delimiter=delimiter, strict=True)
        while True:
            number = lines.number + 1
            try:
                values = next(reader)
            except StopIteration:
                return
            except (csv.Error, _BadLine) as error:
                yield bad_row(number, lines.position, "", str(error))
                continue
            if not any(value.strip() for value in values):
                continue
            if len(values) > len(columns):
                detail = f"{len(values)} fields, but the header has {len(columns)}"
                yield bad_row(number, lines.position, delimiter.join(values), detail)
                continue
            named = zip(columns, values, strict=False)
            fields = {name: value for name, value in named if name is not None}
            yield row_of(number, lines.position, fields, self._photos)


class JsonLinesSource:
    """One JSON object a line."""

    def __init__(self, stream: BinaryIO, photos: PhotoReaders) -> None:
        self._stream = stream
        self._photos = photos

    def rows(self, position: Position) -> Iterator[SourceRow]:
        """See Source."""
        lines = _Lines(self._stream, position)
        while True:
            text = ""
            try:
                text = next(lines)
                if not text.strip():
                    continue
                fields = _object(text)
            except StopIteration:
                return
            except ValueError as error:  # _BadLine and JSONDecodeError are ValueErrors
                yield bad_row(lines.number, lines.position, text, str(error))
                continue
            yield row_of(lines.number, lines.position, fields, self._photos)


def _header(lines: _Lines) -> tuple[list[str | None], str]:
    """Return our name of each column (None: not ours) and the delimiter."""
    try:
        line = next(lines)
        delimiter = max(_DELIMITERS, key=line.count)
        names = next(csv.reader([line], delimiter=delimiter, strict=True))
    except StopIteration:
        raise SourceProblem(CatalogErrorCode.EMPTY_CATALOG, "the file is empty") from None
    except (csv.Error, _BadLine) as error:
        raise invalid_manifest(f"the header cannot be read: {error}") from error
    return named_columns(names), delimiter


def named_columns(names: Iterable[str]) -> list[str | None]:
    """Return our name of each column, None for those that are not ours.

    Raises SourceProblem without a column of photos, and when two have the same meaning.
    """
    columns = [COLUMNS.get(name.strip().lower()) for name in names]
    known = [name for name in columns if name is not None]
    repeated = {name for name in known if known.count(name) > 1}
    if repeated:
        raise invalid_manifest(f"several columns mean {', '.join(sorted(repeated))}")
    if not {"url", "key"} & set(known):
        raise invalid_manifest("no column is called 'url' or 'key'")
    return columns


def invalid_manifest(detail: str) -> SourceProblem:
    """Return the problem of a file that is not the manifest that it should be."""
    return SourceProblem(CatalogErrorCode.INVALID_MANIFEST, detail)


def _object(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    if not isinstance(value, dict):
        raise ValueError("not a JSON object")  # noqa: TRY004  # a wrong line, not a wrong call
    fields: dict[str, Any] = {}
    for name, item in value.items():
        known = COLUMNS.get(name.strip().lower())
        if known in fields:
            raise ValueError(f"several members mean {known}")
        if known is not None:
            fields[known] = item
    return fields
