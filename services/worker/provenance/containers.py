"""Finds the metadata in an image file without decoding a pixel.

Every walk is bounded by the file's own length, and what it hands out by the limits below: the
bytes are a stranger's.
"""

import io
import re
import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from PIL import AvifImagePlugin

from services.worker.provenance.profiles import joined, profile_name, raw_profile

# More than any camera or editor writes into one block.
MAX_BLOCK = 1 << 20
MAX_TEXTS = 64
# Of all texts, of all XMP packets and of what is decompressed, in one file.
MAX_TOTAL = 2 << 20
# Segments, chunks or blocks of one file that are looked at; encoders write some hundred.
MAX_SEGMENTS = 20_000

_XMP_JPEG = b"http://ns.adobe.com/xap/1.0/\x00"
# Then 32 digits that name the packet, its length and the portion's offset (XMP part 3, 1.1.3.1).
_XMP_EXTENSION = b"http://ns.adobe.com/xmp/extension/\x00"
_XMP_KEYWORD = "XML:com.adobe.xmp"
_EXIF_HEADER = b"Exif\x00\x00"
_PHOTOSHOP = b"Photoshop 3.0\x00"
# Before a JPEG marker there may be any number of them.
_FILL = re.compile(rb"\xff+")
# ISO BMFF `uuid` box of a C2PA manifest store (C2PA 2.1, A.5.1).
_C2PA_UUID = bytes.fromhex("d8fec3d61b0e483c92975828877ec481")


@dataclass(slots=True)
class Blocks:
    """The metadata blocks of one file, as they stand in it."""

    mime: str
    # TIFF structure, without the `Exif\0\0` before it.
    exif: bytes = b""
    # XMP packets.
    xmp: list[bytes] = field(default_factory=list)
    # Photoshop image resources, in which IPTC-IIM lies.
    photoshop: bytes = b""
    # (keyword, text) of PNG text chunks, JPEG and GIF comments.
    texts: list[tuple[str, str]] = field(default_factory=list)
    # Whether a C2PA manifest store is embedded.
    c2pa: bool = False
    # How much may still be kept, and decompressed.
    text_room: int = MAX_TOTAL
    xmp_room: int = MAX_TOTAL
    inflate_room: int = MAX_TOTAL

    def add_text(self, keyword: str, text: str) -> None:
        """Keep a text, up to the limits."""
        if len(self.texts) < MAX_TEXTS and self.text_room > 0:
            kept = text[: min(MAX_BLOCK, self.text_room)]
            self.text_room -= len(kept)
            self.texts.append((keyword, kept))

    def add_xmp(self, packet: bytes) -> None:
        """Keep an XMP packet, up to the limits."""
        if packet and len(self.xmp) < 4 and len(packet) <= min(MAX_BLOCK, self.xmp_room):
            self.xmp_room -= len(packet)
            self.xmp.append(packet)

    def add_exif(self, block: bytes) -> None:
        """Keep the first EXIF block; the header that some containers put before it is dropped."""
        if not self.exif and len(block) <= MAX_BLOCK:
            self.exif = block.removeprefix(_EXIF_HEADER)

    def add_photoshop(self, block: bytes) -> None:
        """Keep image resources, up to the limit; long ones come in several segments."""
        if len(self.photoshop) + len(block) <= MAX_BLOCK:
            self.photoshop += block

    def inflate(self, data: bytes) -> bytes:
        """Decompress up to the limits: a bomb stops there, and many share one limit."""
        room = min(MAX_BLOCK, self.inflate_room)
        if room <= 0:
            return b""
        try:
            inflated = zlib.decompressobj().decompress(data, room)
        except zlib.error:
            return b""
        self.inflate_room -= len(inflated)
        return inflated


def read_blocks(data: bytes) -> Blocks | None:
    """Return the metadata blocks of a JPEG, PNG, WebP, GIF or AVIF file, None for another file.

    A file that ends early or is malformed gives what stands before the fault.
    """
    for start, mime, read in _READERS:
        if data.startswith(start[1], start[0]):
            blocks = Blocks(mime)
            read(data, blocks)
            return blocks
    return None


# (name, length of the whole) of extended XMP, and its portions by offset.
_Extensions = dict[tuple[bytes, int], dict[int, bytes]]


def _jpeg(data: bytes, blocks: Blocks) -> None:
    extensions: _Extensions = {}
    for marker, body in _jpeg_segments(data):
        if marker == 0xE1 and body.startswith(_EXIF_HEADER):
            blocks.add_exif(body)
        elif marker == 0xE1 and body.startswith(_XMP_JPEG):
            blocks.add_xmp(body.removeprefix(_XMP_JPEG))
        elif marker == 0xE1 and body.startswith(_XMP_EXTENSION):
            _extension(body.removeprefix(_XMP_EXTENSION), extensions)
        elif marker == 0xED and body.startswith(_PHOTOSHOP):
            blocks.add_photoshop(body.removeprefix(_PHOTOSHOP))
        elif marker == 0xEB and body.startswith(b"JP") and b"c2pa" in body[:256]:
            blocks.c2pa = True
        elif marker == 0xFE:
            blocks.add_text("comment", body.decode("utf-8", "replace"))
    standard = b"".join(blocks.xmp)
    for (name, length), portions in extensions.items():
        if name in standard:  # else it is what an editor forgot
            blocks.add_xmp(joined(portions, length))


def _extension(body: bytes, extensions: _Extensions) -> None:
    if len(body) < 40:
        return
    length, offset = struct.unpack_from(">II", body, 32)
    if length <= MAX_BLOCK and len(extensions) < 4:
        extensions.setdefault((body[:32], length), {})[offset] = body[40:]


def _jpeg_segments(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield (marker, body) up to the start of the scan: metadata stands before it."""
    place = 2
    for _ in range(MAX_SEGMENTS):
        fill = _FILL.match(data, place)
        if fill is None or fill.end() + 3 > len(data):
            return
        place = fill.end() - 1
        marker = data[place + 1]
        if marker == 0x01 or 0xD0 <= marker <= 0xD8:
            place += 2
            continue
        if marker in (0xD9, 0xDA):
            return
        (length,) = struct.unpack_from(">H", data, place + 2)
        if length < 2:
            return
        yield marker, data[place + 4 : place + 2 + length]
        place += 2 + length


def _png(data: bytes, blocks: Blocks) -> None:
    place = 8
    for _ in range(MAX_SEGMENTS):
        if place + 12 > len(data):
            return
        length, kind = struct.unpack_from(">I4s", data, place)
        if kind in _PNG_CHUNKS:
            _PNG_CHUNKS[kind](data[place + 8 : place + 8 + min(length, MAX_BLOCK)], blocks)
        place += 12 + length


def _png_text(body: bytes, blocks: Blocks) -> None:
    keyword, _, text = body.partition(b"\x00")
    _add_png_text(keyword, text, blocks)


def _png_ztxt(body: bytes, blocks: Blocks) -> None:
    keyword, _, text = body.partition(b"\x00")
    _add_png_text(keyword, blocks.inflate(text[1:]), blocks)


def _png_itxt(body: bytes, blocks: Blocks) -> None:
    keyword, _, rest = body.partition(b"\x00")
    compressed = rest[:1] == b"\x01"
    _language, _, rest = rest[2:].partition(b"\x00")
    _translated, _, text = rest.partition(b"\x00")
    _add_png_text(keyword, blocks.inflate(text) if compressed else text, blocks)


def _add_png_text(keyword: bytes, raw: bytes, blocks: Blocks) -> None:
    """Keep a text, or what it holds: writers put XMP and profiles in texts of every kind."""
    name = keyword.decode("latin-1")
    profile = profile_name(name)
    if name == _XMP_KEYWORD:
        blocks.add_xmp(raw)
    elif profile is not None:
        _add_profile(profile, raw_profile(raw.decode("latin-1")), blocks)
    else:
        # Latin-1 by the standard, UTF-8 as many write it.
        try:
            text = raw.decode()
        except UnicodeDecodeError:
            text = raw.decode("latin-1")
        blocks.add_text(name, text)


def _add_profile(name: str, profile: bytes, blocks: Blocks) -> None:
    if name == "xmp" or profile.startswith(_XMP_JPEG):
        blocks.add_xmp(profile.removeprefix(_XMP_JPEG))
    elif name in ("exif", "app1"):
        blocks.add_exif(profile)
    elif name in ("iptc", "8bim"):
        blocks.add_photoshop(profile.removeprefix(_PHOTOSHOP))


def _png_c2pa(_body: bytes, blocks: Blocks) -> None:
    blocks.c2pa = True


def _png_exif(body: bytes, blocks: Blocks) -> None:
    blocks.add_exif(body)


_PNG_CHUNKS: dict[bytes, Callable[[bytes, Blocks], None]] = {
    b"tEXt": _png_text,
    b"zTXt": _png_ztxt,
    b"iTXt": _png_itxt,
    b"eXIf": _png_exif,
    b"caBX": _png_c2pa,
}


def _webp(data: bytes, blocks: Blocks) -> None:
    place = 12
    for _ in range(MAX_SEGMENTS):
        if place + 8 > len(data):
            return
        kind, length = struct.unpack_from("<4sI", data, place)
        body = data[place + 8 : place + 8 + min(length, MAX_BLOCK)]
        if kind == b"EXIF":
            blocks.add_exif(body)
        elif kind == b"XMP ":
            blocks.add_xmp(body)
        elif kind == b"C2PA":
            blocks.c2pa = True
        place += 8 + length + length % 2


def _gif(data: bytes, blocks: Blocks) -> None:
    start = data.find(b"XMP DataXMP")
    end = data.find(b"<?xpacket end", start)
    if 0 < start < end:
        blocks.add_xmp(data[start + 11 : end + 19])
    blocks.c2pa = b"C2PA_GIF" in data


def _avif(data: bytes, blocks: Blocks) -> None:
    blocks.c2pa = _C2PA_UUID in data
    try:
        # Parses boxes, decodes nothing.
        info = AvifImagePlugin.AvifImageFile(io.BytesIO(data)).info
    except Exception:  # noqa: BLE001  # libavif's own refusals: decoding will tell of them
        return
    blocks.add_exif(info.get("exif") or b"")
    if xmp := info.get("xmp"):
        blocks.add_xmp(xmp)


# (offset, magic), type, reader
_READERS: list[tuple[tuple[int, bytes], str, Callable[[bytes, Blocks], None]]] = [
    ((0, b"\xff\xd8\xff"), "image/jpeg", _jpeg),
    ((0, b"\x89PNG\r\n\x1a\n"), "image/png", _png),
    ((8, b"WEBP"), "image/webp", _webp),
    ((0, b"GIF8"), "image/gif", _gif),
    ((4, b"ftyp"), "image/avif", _avif),
]
