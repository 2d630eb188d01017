"""CSV and JSON Lines: read line by line, so that the place of every row is a byte offset."""

import csv
import io
import json
import re
from collections import deque
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
_SEPARATOR = re.compile(rf'"?sep=([{_DELIMITERS}])"?', re.IGNORECASE)
# Behind quotes that are never closed, lines are read again.
_MAX_REPEATED_BYTES = 4 * 1024 * 1024


class _BadLine(ValueError):
    """One line is not UTF-8 text."""


class _Unclosed(Exception):
    """A quoted field goes on for longer than a record may."""


class _Lines:
    """Physical lines with their terminators; knows the place behind the last one."""

    def __init__(self, stream: BinaryIO, position: Position, *, lone_cr: bool = False) -> None:
        """With `lone_cr`, a carriage return alone ends a line too."""
        self._stream = stream
        self._lone_cr = lone_cr
        # Lines that are read already.
        self._ahead: deque[bytes] = deque()
        self._size = stream.seek(0, io.SEEK_END)
        self.go_to(int(position.get("offset", 0)), int(position.get("line", 0)))

    def go_to(self, offset: int, number: int) -> None:
        """Go on behind line `number`, which ends at byte `offset`."""
        self.offset, self.number = offset, number
        self._ahead.clear()
        self._stream.seek(offset)

    def __iter__(self) -> "_Lines":
        return self

    def __next__(self) -> str:
        raw = self._ahead.popleft() if self._ahead else self._read()
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

    def _read(self) -> bytes:
        raw = self._stream.readline(MAX_LINE_BYTES + 1)
        if not self._lone_cr or b"\r" not in raw:
            return raw
        first, *others = raw.splitlines(keepends=True)  # of bytes: at CR, LF and CRLF only
        if others and not raw.endswith(b"\n"):
            # The last one may go on, or be cut between CR and LF.
            self._stream.seek(self.offset + len(raw) - len(others.pop()))
        self._ahead.extend(others)
        return first

    @property
    def position(self) -> Position:
        # At the lines' length so far; for the expected end.
        rows = round(self.number * self._size / max(1, self.offset))
        return {"offset": self.offset, "line": self.number, "rows": rows}


class CsvSource:
    """A CSV file with a header; the delimiter is the one that the header has most of.

    A first line such as `sep=;`, which spreadsheets write, names the delimiter.
    """

    def __init__(self, stream: BinaryIO, photos: PhotoReaders) -> None:
        self._stream = stream
        self._photos = photos

    def rows(self, position: Position) -> Iterator[SourceRow]:
        """See Source. A row's line is the one that it begins on, the header being line 1."""
        start = _Lines(self._stream, {}, lone_cr=True)
        columns, delimiter = _header(start)
        lines = _Lines(self._stream, position or start.position, lone_cr=True)
        records = _Records(lines, delimiter)
        while True:
            number = lines.number + 1
            try:
                values = records.next()
            except StopIteration:
                return
            except ValueError as error:
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


class _Records:
    """Records of a CSV file. One that cannot be read takes no line with it but its first.

    A quote that is never closed would swallow what stands behind it: reading goes on behind the
    line that has it.
    """

    def __init__(self, lines: _Lines, delimiter: str) -> None:
        self._lines = lines
        self._delimiter = delimiter
        # Bytes read twice, over all records.
        self._repeated = 0

    def next(self) -> list[str]:
        """Return the next record's fields.

        Raises ValueError for a record that cannot be read, StopIteration at the end, SourceProblem
        for a file of too many such records.
        """
        lines = self._lines
        # Where the record's first line ends.
        ends: list[tuple[int, int]] = []
        begin = lines.offset

        def feed() -> Iterator[str]:
            for line in lines:
                ends.append((lines.offset, lines.number))
                del ends[1:]
                if lines.offset - begin > MAX_LINE_BYTES:
                    raise _Unclosed
                yield line

        try:
            return next(csv.reader(feed(), delimiter=self._delimiter, strict=True))
        except _BadLine:
            self._back_to(ends)
            raise
        except _Unclosed as error:
            self._back_to(ends)
            detail = f"a quoted field goes on for more than {MAX_LINE_BYTES} bytes"
            raise ValueError(f"{detail}; is its quote closed?") from error
        except csv.Error as error:
            self._back_to(ends)
            raise ValueError(_csv_words(error)) from error

    def _back_to(self, ends: list[tuple[int, int]]) -> None:
        if not ends or ends[0][1] == self._lines.number:
            return
        offset, number = ends[0]
        self._repeated += self._lines.offset - offset
        if self._repeated > _MAX_REPEATED_BYTES:
            detail = f"line {number}: too many quotes before it are not closed"
            raise invalid_manifest(detail)
        self._lines.go_to(offset, number)


def _csv_words(error: csv.Error) -> str:
    """Return what is wrong in the words of the file, not of Python's reader."""
    text = str(error)
    if "unexpected end of data" in text:
        return "a quote is opened and never closed"
    if "expected after" in text:
        return "a quoted field goes on behind its closing quote; write quotes in it twice"
    if "field larger than" in text:
        return f"a field has more than {csv.field_size_limit()} characters; is its quote closed?"
    return "not readable as CSV"


class JsonLinesSource:
    """One JSON object a line."""

    def __init__(self, stream: BinaryIO, photos: PhotoReaders) -> None:
        self._stream = stream
        self._photos = photos

    def rows(self, position: Position) -> Iterator[SourceRow]:
        """See Source."""
        if not position:
            _refuse_array(self._stream)
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
                yield bad_row(lines.number, lines.position, text, _json_words(error))
                continue
            yield row_of(lines.number, lines.position, fields, self._photos)


def _refuse_array(stream: BinaryIO) -> None:
    """Refuse a JSON array, which is what most programs write when asked for JSON."""
    stream.seek(0)
    start = stream.read(1024).removeprefix(b"\xef\xbb\xbf").lstrip()
    if start.startswith(b"[") and start[1:].lstrip().startswith((b"{", b"]")):
        detail = "the file is a JSON array; write JSON Lines, one object a line without commas"
        raise invalid_manifest(detail)


def _header(lines: _Lines) -> tuple[list[str | None], str]:
    """Return our name of each column (None: not ours) and the delimiter."""
    try:
        line = next(lines)
        if named := _SEPARATOR.fullmatch(line.rstrip("\r\n")):
            line, delimiter = next(lines), named.group(1)
        else:
            delimiter = max(_DELIMITERS, key=line.count)
        names = next(csv.reader([line], delimiter=delimiter, strict=True))
    except StopIteration:
        raise SourceProblem(CatalogErrorCode.EMPTY_CATALOG, "the file is empty") from None
    except (csv.Error, _BadLine) as error:
        reason = _csv_words(error) if isinstance(error, csv.Error) else f"{error}; save it as UTF-8"
        raise invalid_manifest(f"the header cannot be read: {reason}") from error
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


def _json_words(error: ValueError) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"not JSON: {error.msg} at character {error.pos + 1}"
    return str(error)


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
