"""ZIP archives of photos. Nothing is unpacked to disk, so names in them are names only."""

import functools
import struct
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath
from threading import Lock
from typing import BinaryIO

from services.ingest.sources.rows import (
    MAX_SOURCE,
    Position,
    ReadPhoto,
    RowProblem,
    SourceProblem,
    SourceRow,
    is_incidental,
)
from shared.contracts.catalogs import CatalogErrorCode, RowErrorCode
from shared.contracts.errors import ImageErrorCode
from shared.core.texts import storable

# End of the central directory, and its ZIP64 form with the locator that leads there.
_END = struct.Struct("<4s4H2LH")
_LOCATOR = struct.Struct("<4sLQL")
_END64 = struct.Struct("<4sQ2H2L4Q")
_LONGEST_COMMENT = 65_535
# Of one entry in the directory: its fixed part, its name and the usual extras.
_DIRECTORY_BYTES_PER_ENTRY = 1024
# Small files of one colour do shrink by such factors.
_RATIO_FREE_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class ArchiveLimits:
    """See IngestSettings."""

    max_entries: int
    max_bytes: int
    max_ratio: int


class ArchiveSource:
    """A ZIP file; a row's line is the number of its entry in the directory, from 1."""

    def __init__(self, stream: BinaryIO, limits: ArchiveLimits) -> None:
        self._stream = stream
        self._limits = limits
        # zipfile shares one stream among its entries.
        self._lock = Lock()

    def rows(self, position: Position) -> Iterator[SourceRow]:
        """See Source. Directories and what systems add (`__MACOSX`, `Thumbs.db`) are no rows."""
        # Before zipfile reads the directory: it holds all of it in memory.
        _check_directory(self._stream, self._limits.max_entries)
        try:
            archive = zipfile.ZipFile(self._stream)
        except (zipfile.BadZipFile, struct.error, ValueError, NotImplementedError) as error:
            raise _invalid(f"not a readable ZIP archive: {error}") from error
        entries = archive.infolist()
        if "xl/workbook.xml" in archive.NameToInfo:
            raise _invalid("an Excel workbook, not photos: save the sheet as CSV and send that")
        self._check_entries(entries)
        for number, entry in enumerate(entries, start=1):
            if number <= int(position.get("entry", 0)) or _is_incidental(entry):
                continue
            after = {"entry": number, "rows": len(entries)}
            yield self._row(archive, entry, number, after)

    def _check_entries(self, entries: list[zipfile.ZipInfo]) -> None:
        unpacked = sum(entry.file_size for entry in entries)
        if unpacked > self._limits.max_bytes:
            raise _invalid(f"unpacks to {unpacked} bytes; at most {self._limits.max_bytes} may be")
        # Entries that share bytes are how a small archive unpacks to petabytes.
        end = 0
        for entry in sorted(entries, key=lambda each: each.header_offset):
            if entry.header_offset < end:
                raise _invalid("entries overlap")
            end = entry.header_offset + entry.compress_size

    def _row(
        self, archive: zipfile.ZipFile, entry: zipfile.ZipInfo, number: int, after: Position
    ) -> SourceRow:
        name = storable(_name(entry), MAX_SOURCE)
        ratio = entry.file_size / max(1, entry.compress_size)
        if entry.flag_bits & 0x1:
            problem = _suspicious("the file is encrypted")
        elif entry.file_size > _RATIO_FREE_BYTES and ratio > self._limits.max_ratio:
            problem = _suspicious(f"unpacks to {ratio:.0f} times its size")
        else:
            return SourceRow(number, name, after, self._reader(archive, entry))
        return SourceRow(number, name, after, problem=problem)

    def _reader(self, archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> ReadPhoto:
        return functools.partial(self._read, archive, entry)

    def _read(self, archive: zipfile.ZipFile, entry: zipfile.ZipInfo, max_bytes: int) -> bytes:
        if entry.file_size > max_bytes:
            raise _too_large(max_bytes)
        try:
            # One byte more than allowed: the size in the directory may be a lie.
            with self._lock, archive.open(entry) as stream:
                data = stream.read(max_bytes + 1)
        except (zipfile.BadZipFile, zlib.error, EOFError, ValueError, NotImplementedError) as error:
            detail = f"the archive's file cannot be unpacked: {error}"
            raise RowProblem(ImageErrorCode.UNREADABLE_IMAGE.value, detail) from error
        if len(data) > max_bytes:
            raise _too_large(max_bytes)
        return data


def _check_directory(stream: BinaryIO, max_entries: int) -> None:
    """Refuse an archive by what its end says of its directory, before that is read."""
    size = stream.seek(0, 2)
    start = max(0, size - _LONGEST_COMMENT - _END.size)
    stream.seek(start)
    tail = stream.read(size - start)
    at = tail.rfind(b"PK\x05\x06")
    if at < 0 or len(tail) - at < _END.size:
        raise _invalid("not a ZIP archive")
    end = _END.unpack_from(tail, at)
    entries, directory_bytes = end[4], end[5]
    if at >= _LOCATOR.size and tail[at - _LOCATOR.size :].startswith(b"PK\x06\x07"):
        offset = _LOCATOR.unpack_from(tail, at - _LOCATOR.size)[2]
        stream.seek(min(offset, size))
        head = stream.read(_END64.size)
        if len(head) < _END64.size or not head.startswith(b"PK\x06\x06"):
            raise _invalid("its ZIP64 directory is not where it should be")
        entries, directory_bytes = _END64.unpack(head)[7:9]
    if entries > max_entries or directory_bytes > max_entries * _DIRECTORY_BYTES_PER_ENTRY:
        raise _invalid(f"has {entries} files; at most {max_entries} may be")
    stream.seek(0)


def _is_incidental(entry: zipfile.ZipInfo) -> bool:
    path = PurePosixPath(entry.filename)
    return entry.is_dir() or is_incidental(path.name) or "__MACOSX" in path.parts


def _name(entry: zipfile.ZipInfo) -> str:
    """Return the entry's name: macOS writes UTF-8 without the flag that says so."""
    if entry.flag_bits & 0x800 or entry.filename.isascii():
        return entry.filename
    try:
        return entry.filename.encode("cp437").decode("utf-8")
    except UnicodeError:
        return entry.filename


def _invalid(detail: str) -> SourceProblem:
    return SourceProblem(CatalogErrorCode.INVALID_ARCHIVE, detail)


def _suspicious(detail: str) -> RowProblem:
    return RowProblem(RowErrorCode.SUSPICIOUS_ENTRY.value, detail)


def _too_large(max_bytes: int) -> RowProblem:
    detail = f"the file has more than {max_bytes} bytes"
    return RowProblem(ImageErrorCode.TOO_LARGE.value, detail)
