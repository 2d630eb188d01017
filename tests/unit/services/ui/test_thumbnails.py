import base64
import io
import struct
import zlib

import pytest
from PIL import Image

from services.ui.thumbnails import data_uri
from tests.support.photos import jpeg


def decoded(uri: str | None) -> Image.Image:
    assert uri is not None
    head, _, content = uri.partition(",")
    assert head == "data:image/jpeg;base64"
    return Image.open(io.BytesIO(base64.b64decode(content)))


def encoded(image: Image.Image, form: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def test_a_preview_keeps_the_shape_and_is_small() -> None:
    preview = decoded(data_uri(jpeg(1, width=1600, height=800)))
    assert preview.size == (340, 170)
    assert preview.mode == "RGB"


def test_a_photo_taken_sideways_stands_upright() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    photo = encoded(Image.new("RGB", (400, 200)), "JPEG", exif=exif)
    assert decoded(data_uri(photo)).size == (170, 340)


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P", "L", "CMYK", "I;16"])
def test_every_colour_mode_can_be_shown(mode: str) -> None:
    form = "JPEG" if mode == "CMYK" else "PNG"
    assert decoded(data_uri(encoded(Image.new(mode, (40, 40)), form))).size == (40, 40)


def test_transparent_parts_are_white() -> None:
    photo = encoded(Image.new("RGBA", (8, 8), (0, 0, 0, 0)), "PNG")
    assert min(decoded(data_uri(photo)).getpixel((4, 4))) > 250


def bomb_header() -> bytes:
    """Return a PNG whose header promises 50,000 x 50,000 pixels and which ends there."""
    head = struct.pack(">IIBBBBB", 50_000, 50_000, 8, 2, 0, 0, 0)
    chunk = b"IHDR" + head
    size, check = struct.pack(">I", len(head)), struct.pack(">I", zlib.crc32(chunk))
    return b"\x89PNG\r\n\x1a\n" + size + chunk + check


@pytest.mark.parametrize("content", [b"", b"hello", jpeg(2)[:500], bomb_header()])
def test_what_is_no_photo_has_no_preview(content: bytes) -> None:
    assert data_uri(content) is None
