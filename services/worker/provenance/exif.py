"""The few EXIF tags that tell of a photo's origin.

Read here because Pillow's parser warns process-wide about malformed EXIF, which is common.
"""

import struct

_TAGS = {
    0x010E: "ImageDescription",
    0x010F: "Make",
    0x0110: "Model",
    0x0131: "Software",
    0x013B: "Artist",
    0x829A: "ExposureTime",
    0x9003: "DateTimeOriginal",
    0x9286: "UserComment",
    0xA434: "LensModel",
}
_EXIF_IFD = 0x8769
_BYTE, _ASCII, _LONG, _RATIONAL, _UNDEFINED = 1, 2, 4, 5, 7
_WIDTH = {_BYTE: 1, _ASCII: 1, 3: 2, _LONG: 4, _RATIONAL: 8, _UNDEFINED: 1}
# A directory says how many entries it has; no camera writes this many.
_MAX_ENTRIES = 200
# UserComment begins with eight bytes that name its encoding (Exif 2.32, 4.6.6).
_ENCODINGS = {b"ASCII\x00\x00\x00": "utf-8", b"UNICODE\x00": "utf-16", b"\x00" * 8: "utf-8"}


def read_exif(tiff: bytes) -> dict[str, str]:
    """Return tag names and their values as text; {} for a malformed block."""
    order = {b"II*\x00": "<", b"MM\x00*": ">"}.get(tiff[:4])
    if order is None:
        return {}
    values: dict[str, str] = {}
    try:
        (first,) = struct.unpack_from(f"{order}I", tiff, 4)
        below = _directory(tiff, order, first, values)
        if below:
            _directory(tiff, order, below, values)
    except struct.error:
        pass  # what stands before the fault counts
    return values


def _directory(tiff: bytes, order: str, offset: int, values: dict[str, str]) -> int:
    """Add the tags of one directory; returns the offset of the EXIF directory below, or 0."""
    below = 0
    (count,) = struct.unpack_from(f"{order}H", tiff, offset)
    for index in range(min(count, _MAX_ENTRIES)):
        entry = offset + 2 + 12 * index
        tag, kind, number = struct.unpack_from(f"{order}HHI", tiff, entry)
        size = _WIDTH.get(kind, 0) * number
        (place,) = struct.unpack_from(f"{order}I", tiff, entry + 8)
        raw = tiff[entry + 8 : entry + 8 + size] if size <= 4 else tiff[place : place + size]
        if tag == _EXIF_IFD and kind == _LONG:
            below = place
        elif tag in _TAGS and (text := _text(raw, kind, order)):
            values.setdefault(_TAGS[tag], text)
    return below


def _text(raw: bytes, kind: int, order: str) -> str:
    if kind == _RATIONAL and len(raw) >= 8:
        over, under = struct.unpack(f"{order}II", raw[:8])
        return f"{over}/{under}"
    if kind in (_UNDEFINED, _BYTE) and raw[:8] in _ENCODINGS:  # Pillow writes bytes
        encoding = _ENCODINGS[raw[:8]]
        if encoding == "utf-16":
            encoding = _utf16(raw[8:], order)
        return raw[8:].decode(encoding, "replace").strip("\x00 ")
    return raw.decode("utf-8", "replace").strip("\x00 ") if kind == _ASCII else ""


def _utf16(raw: bytes, order: str) -> str:
    """Guess the byte order: writers disagree on whether it is the block's. ASCII text tells."""
    if raw[:1] == b"\x00" != raw[1:2]:
        return "utf-16-be"
    if raw[1:2] == b"\x00" != raw[:1]:
        return "utf-16-le"
    return "utf-16-le" if order == "<" else "utf-16-be"
