"""What the pages of a Parquet file unpack to, read from their headers before any is unpacked.

The sizes in a file's footer are the writer's word, and pyarrow reserves what a page's own header
says: a file of half a kilobyte can ask for gigabytes. So the headers of the columns that are read
are looked at first. They are Thrift structs in the compact protocol (parquet-format, PageHeader).
"""

import struct
from dataclasses import dataclass
from typing import Any, BinaryIO

# A page of one column. Writers make them of 1 MiB, some of a whole row group.
MAX_PAGE_BYTES = 64 * 1024 * 1024
# Values of a page in the encoding that repeats prefixes unpack to any multiple of it.
MAX_PREFIXED_PAGE_BYTES = 2 * 1024 * 1024
# Pages of one column of one row group.
MAX_PAGES = 20_000
# The list of columns and row groups at the file's end.
MAX_FOOTER_BYTES = 2 * 1024 * 1024

_DICTIONARY_PAGE = 2
_DELTA_BYTE_ARRAY = 7
# Statistics with long values make headers long.
_HEADER_BYTES = (4 * 1024, 1024 * 1024)
_MAX_DEPTH = 4


@dataclass(frozen=True, slots=True)
class ChunkSizes:
    """The largest pages of one column of one row group, in bytes."""

    dictionary: int
    data: int


def check_footer(stream: BinaryIO, size: int) -> None:
    """Refuse a file of `size` bytes whose footer is none or too long to be read.

    Raises ValueError.
    """
    stream.seek(max(0, size - 8))
    end = stream.read(8)
    if len(end) < 8 or end[4:] != b"PAR1":
        raise ValueError("its end is not that of a Parquet file")
    (length,) = struct.unpack("<I", end[:4])
    if length > min(size, MAX_FOOTER_BYTES):
        raise ValueError(f"its footer has {length} bytes; at most {MAX_FOOTER_BYTES} are read")


def chunk_sizes(stream: BinaryIO, start: int, length: int) -> ChunkSizes:
    """Return what the pages in `length` bytes from `start` on unpack to.

    Raises ValueError for a page beyond the limits, and for headers that cannot be read.
    """
    dictionary = data = pages = 0
    at, end = start, start + length
    while at < end:
        header, used = _read_header(stream, at, end)
        unpacked, packed = header.get(2), header.get(3)
        if (
            not isinstance(unpacked, int)
            or not isinstance(packed, int)
            or min(unpacked, packed) < 0
        ):
            raise ValueError("a page's header has no sizes")
        held = max(unpacked, packed)
        pages += 1
        _check_page(header, held, pages)
        if header.get(1) == _DICTIONARY_PAGE:
            dictionary = max(dictionary, held)
        else:
            data = max(data, held)
        at += used + packed
    return ChunkSizes(dictionary, data)


def _check_page(header: dict[int, Any], held: int, pages: int) -> None:
    if pages > MAX_PAGES:
        raise ValueError(f"a column has more than {MAX_PAGES} pages in one row group")
    # DataPageHeader.encoding, DataPageHeaderV2.encoding
    encodings = (_field(header, 5, 2), _field(header, 8, 4))
    limit = MAX_PREFIXED_PAGE_BYTES if _DELTA_BYTE_ARRAY in encodings else MAX_PAGE_BYTES
    if held > limit:
        raise ValueError(f"a page of {held} bytes; at most {limit} are read")


def _field(header: dict[int, Any], outer: int, inner: int) -> Any:
    below = header.get(outer)
    return below.get(inner) if isinstance(below, dict) else None


def _read_header(stream: BinaryIO, at: int, end: int) -> tuple[dict[int, Any], int]:
    """Return the header that begins at `at`, and its length."""
    for window in _HEADER_BYTES:
        stream.seek(at)
        data = stream.read(min(window, end - at))
        try:
            return _struct(data, 0, _MAX_DEPTH)
        except IndexError:
            continue
    raise ValueError("a page's header ends nowhere")


def _struct(data: bytes, at: int, depth: int) -> tuple[dict[int, Any], int]:
    """Return the fields of a struct by their ids, and the place behind it.

    Raises IndexError when `data` ends before it does.
    """
    if depth == 0:
        raise ValueError("a page's header is nested too deep")
    fields: dict[int, Any] = {}
    number = 0
    while head := data[at]:
        at += 1
        kind, step = head & 15, head >> 4
        if step:
            number += step
        else:
            raw, at = _varint(data, at)
            number = (raw >> 1) ^ -(raw & 1)
        fields[number], at = _value(data, at, kind, depth)
    return fields, at + 1


def _value(data: bytes, at: int, kind: int, depth: int) -> tuple[Any, int]:
    if kind in (1, 2):  # true, false
        return kind == 1, at
    if kind == 3:  # one byte
        return data[at], at + 1
    if kind in (4, 5, 6):  # integers
        raw, at = _varint(data, at)
        return (raw >> 1) ^ -(raw & 1), at
    if kind == 8:  # binary: its length, and it
        length, at = _varint(data, at)
        if at + length > len(data):
            raise IndexError
        return None, at + length
    if kind == 12:
        return _struct(data, at, depth - 1)
    raise ValueError(f"a page's header has a field of type {kind}")


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while shift < 64:
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
        shift += 7
    raise ValueError("a number in a page's header is too long")
