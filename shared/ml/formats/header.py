"""Format and size of an image from its header alone: no pixel is decoded, no canvas allocated.

The four common formats are parsed here rather than by Pillow because some of its plugins allocate
the canvas, or scan all frames, on opening; the gateway must refuse a bomb before any of that.
"""

import io
import struct
from dataclasses import dataclass
from typing import BinaryIO, Literal

from PIL import AvifImagePlugin

from shared.ml.errors import UnreadableImage

ImageFormat = Literal["JPEG", "PNG", "WEBP", "GIF", "AVIF"]

MIME: dict[ImageFormat, str] = {
    "JPEG": "image/jpeg",
    "PNG": "image/png",
    "WEBP": "image/webp",
    "GIF": "image/gif",
    "AVIF": "image/avif",
}

# What stands before the image: encoders write some hundred segments, some thousand blocks.
MAX_SEGMENTS = 20_000
MAX_BLOCKS = 100_000
# Fill bytes between two JPEG segments; none are usual.
_MAX_FILL = 64 * 1024

# Start-of-frame markers; C4, C8 and CC in the same range are tables and extensions.
_JPEG_SOF = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}


@dataclass(frozen=True, slots=True)
class ImageHeader:
    """What the header says. Sizes are in pixels, before any EXIF rotation.

    `frames` is the number of frames where the header tells it without a scan, else None.
    """

    format: ImageFormat
    mime: str
    width: int
    height: int
    frames: int | None

    @property
    def pixels(self) -> int:
        """Width times height."""
        return self.width * self.height

    @property
    def pixels_of_all_frames(self) -> int:
        """Width times height times the frames that the header tells of."""
        return self.pixels * (self.frames or 1)


def read_header(data: bytes | BinaryIO) -> ImageHeader:
    """Read the header of a JPEG, PNG, WebP, GIF or AVIF image; a stream is read from its start.

    The stream's position afterwards is undefined. Raises UnreadableImage with code `empty_file`,
    `unsupported_type` (by content; names and declared types are not believed), `truncated_image`
    (it ends within the header) or `unreadable_image`.
    """
    stream = io.BytesIO(data) if isinstance(data, bytes | bytearray | memoryview) else data
    stream.seek(0)
    start = stream.read(32)
    if not start:
        raise UnreadableImage("empty_file", "the file has no bytes")
    fmt = sniff(start)
    try:
        width, height, frames = _READERS[fmt](stream)
    except (struct.error, EOFError) as error:
        raise UnreadableImage("truncated_image", f"the {fmt} header is cut off") from error
    if width <= 0 or height <= 0:
        raise UnreadableImage("unreadable_image", f"the {fmt} header says {width}x{height} pixels")
    return ImageHeader(fmt, MIME[fmt], width, height, frames)


def sniff(start: bytes) -> ImageFormat:
    """Return the format by the first bytes (32 are enough).

    Raises UnreadableImage with code `unsupported_type`.
    """
    if start.startswith(b"\xff\xd8\xff"):
        return "JPEG"
    if start.startswith(b"\x89PNG\r\n\x1a\n"):
        return "PNG"
    if start[:4] == b"RIFF" and start[8:12] == b"WEBP":
        return "WEBP"
    if start[:6] in (b"GIF87a", b"GIF89a"):
        return "GIF"
    if start[4:8] == b"ftyp" and start[8:12] in (b"avif", b"avis", b"mif1", b"msf1", b"miaf"):
        return "AVIF"
    raise UnreadableImage(
        "unsupported_type", "the content is not a JPEG, PNG, WebP, GIF or AVIF image"
    )


def _exactly(stream: BinaryIO, size: int) -> bytes:
    data = stream.read(size)
    if len(data) != size:
        raise EOFError
    return data


def _jpeg(stream: BinaryIO) -> tuple[int, int, int | None]:
    stream.seek(2)
    for _ in range(MAX_SEGMENTS):
        if _exactly(stream, 1) != b"\xff":
            raise UnreadableImage("unreadable_image", "no JPEG marker where one must be")
        marker = _jpeg_marker(stream)
        if marker == 0x01 or 0xD0 <= marker <= 0xD8:
            continue
        if marker in (0xD9, 0xDA):
            raise UnreadableImage("unreadable_image", "the JPEG has no frame header")
        (length,) = struct.unpack(">H", _exactly(stream, 2))
        if marker in _JPEG_SOF:
            _, height, width = struct.unpack(">BHH", _exactly(stream, 5))
            return width, height, 1
        if length < 2:
            raise UnreadableImage("unreadable_image", "a JPEG segment has an impossible length")
        stream.seek(length - 2, io.SEEK_CUR)
    raise _too_much("JPEG")


def _jpeg_marker(stream: BinaryIO) -> int:
    """Return the marker behind an FF and any fill bytes, which are FFs too."""
    marker = _exactly(stream, 1)[0]
    if marker != 0xFF:
        return marker
    place = stream.tell()
    ahead = stream.read(_MAX_FILL)
    fill = len(ahead) - len(ahead.lstrip(b"\xff"))
    if fill == _MAX_FILL:
        raise _too_much("JPEG")
    if fill == len(ahead):
        raise EOFError
    stream.seek(place + fill + 1)
    return ahead[fill]


def _too_much(fmt: ImageFormat) -> UnreadableImage:
    return UnreadableImage("unreadable_image", f"too much stands before the {fmt}'s image")


def _png(stream: BinaryIO) -> tuple[int, int, int | None]:
    stream.seek(8)
    length, kind, width, height = struct.unpack(">I4sII", _exactly(stream, 16))
    if kind != b"IHDR" or length != 13:
        raise UnreadableImage("unreadable_image", "the PNG does not begin with its header")
    stream.seek(33)
    frames = 1
    animations = 0
    for _ in range(MAX_SEGMENTS):
        length, kind = struct.unpack(">I4s", _exactly(stream, 8))
        if kind in (b"IDAT", b"IEND"):
            return width, height, frames
        if kind == b"acTL":
            (frames,) = struct.unpack(">I", _exactly(stream, 4))
            animations += 1
            if animations > 1 or not 0 < frames < 2**31:
                raise UnreadableImage("unreadable_image", "the PNG's animation header is invalid")
            length -= 4
        stream.seek(length + 4, io.SEEK_CUR)
    raise _too_much("PNG")


def _webp(stream: BinaryIO) -> tuple[int, int, int | None]:
    stream.seek(12)
    kind = _exactly(stream, 4)
    body = _exactly(stream, 14)[4:]
    if kind == b"VP8X":
        width = int.from_bytes(body[4:7], "little") + 1
        height = int.from_bytes(body[7:10], "little") + 1
        return width, height, None if body[0] & 0x02 else 1
    if kind == b"VP8L" and body[0] == 0x2F:
        bits = int.from_bytes(body[1:5], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1, 1
    if kind == b"VP8 " and body[3:6] == b"\x9d\x01\x2a":
        width, height = struct.unpack("<HH", body[6:10])
        return width & 0x3FFF, height & 0x3FFF, 1
    raise UnreadableImage("unreadable_image", "the WebP's first chunk is not an image")


def _gif(stream: BinaryIO) -> tuple[int, int, int | None]:
    """Return the larger of the screen and the first frame: a frame may exceed its screen."""
    stream.seek(6)
    width, height, flags = struct.unpack("<HHBxx", _exactly(stream, 7))
    if flags & 0x80:
        stream.seek(3 << (flags & 7) + 1, io.SEEK_CUR)
    blocks = 0
    while blocks < MAX_BLOCKS:
        block = _exactly(stream, 1)[0]
        if block == 0x2C:
            left, top, frame_width, frame_height = struct.unpack("<HHHH", _exactly(stream, 8))
            return max(width, left + frame_width), max(height, top + frame_height), None
        if block != 0x21:
            raise UnreadableImage("unreadable_image", "the GIF has no frame")
        stream.seek(1, io.SEEK_CUR)
        while (size := _exactly(stream, 1)[0]) and blocks < MAX_BLOCKS:
            stream.seek(size, io.SEEK_CUR)
            blocks += 1
        blocks += 1
    raise _too_much("GIF")


def _avif(stream: BinaryIO) -> tuple[int, int, int | None]:
    stream.seek(0)
    try:
        image = AvifImagePlugin.AvifImageFile(stream)  # parses boxes, decodes nothing
    except Exception as error:
        raise UnreadableImage("unreadable_image", "the AVIF container cannot be parsed") from error
    return image.width, image.height, image.n_frames


_READERS = {"JPEG": _jpeg, "PNG": _png, "WEBP": _webp, "GIF": _gif, "AVIF": _avif}
