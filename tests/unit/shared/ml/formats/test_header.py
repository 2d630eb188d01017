import contextlib
import io
import struct
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from shared.ml.errors import UnreadableImage
from shared.ml.formats.header import MIME, read_header


def encoded(fmt, size=(60, 40), mode="RGB", **options):
    buffer = io.BytesIO()
    Image.new(mode, size, 128).save(buffer, fmt, **options)
    return buffer.getvalue()


def png_header(width, height):
    """The first bytes of a PNG that claims this size and holds one empty data chunk."""

    def chunk(kind, body):
        return (
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        )

    ihdr = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", ihdr) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("fmt", "options"),
    [
        ("JPEG", {}),
        ("JPEG", {"progressive": True}),
        ("PNG", {}),
        ("WEBP", {}),
        ("WEBP", {"lossless": True}),
        ("WEBP", {"exif": b"Exif\x00\x00II*\x00"}),
        ("GIF", {}),
        ("AVIF", {}),
    ],
)
def test_size_and_type_of_each_format(fmt, options):
    """Each allowed format tells its size, from bytes and from a stream at any position."""
    data = encoded(fmt, (61, 43), **options)
    header = read_header(data)
    assert (header.format, header.mime) == (fmt, MIME[fmt])
    assert (header.width, header.height, header.pixels) == (61, 43, 61 * 43)
    stream = io.BytesIO(data)
    stream.seek(10)
    assert read_header(stream) == header


@pytest.mark.parametrize("mode", ["L", "CMYK"])
def test_jpeg_of_other_colour_modes(mode):
    assert read_header(encoded("JPEG", (30, 20), mode)).width == 30


def test_frames_of_an_animated_png():
    first, second = Image.new("RGB", (8, 8), "red"), Image.new("RGB", (8, 8), "blue")
    buffer = io.BytesIO()
    first.save(buffer, "PNG", save_all=True, append_images=[second])
    assert read_header(buffer.getvalue()).frames == 2


def test_a_bomb_is_measured_without_being_decoded():
    """50,000 x 50,000 pixels cost 60 bytes to send and must cost nothing to refuse."""
    header = read_header(png_header(50_000, 50_000))
    assert header.pixels == 2_500_000_000


def test_a_gif_frame_larger_than_its_screen_counts():
    """Decoders grow the canvas to the frame, so the screen's size alone can be a lie."""
    gif = b"GIF89a" + struct.pack("<HHBBB", 1, 1, 0, 0, 0)
    gif += b"\x2c" + struct.pack("<HHHHB", 0, 0, 60_000, 60_000, 0)
    assert read_header(gif).pixels == 3_600_000_000


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "empty_file"),
        (b"hello, this is text and not an image", "unsupported_type"),
        (b"%PDF-1.7", "unsupported_type"),
        (b"BM" + bytes(60), "unsupported_type"),
        (b"II*\x00" + bytes(60), "unsupported_type"),
        (b"\xff\xd8\xff\xe0\x00\x10JFIF", "truncated_image"),
        (b"\xff\xd8\xff\xd9", "unreadable_image"),
        (b"\xff\xd8\xff\xe0\x00\x00", "unreadable_image"),
        (b"\x89PNG\r\n\x1a\n\x00\x00", "truncated_image"),
        (png_header(0, 5), "unreadable_image"),
        (b"RIFF\x00\x00\x00\x00WEBPJUNK" + bytes(30), "unreadable_image"),
        (b"GIF89a\x05\x00\x05\x00\x00\x00\x00;", "unreadable_image"),
        (b"\x00\x00\x00\x18ftypavif" + bytes(30), "unreadable_image"),
    ],
)
def test_what_is_not_an_image_has_its_code(data, code):
    with pytest.raises(UnreadableImage) as caught:
        read_header(data)
    assert caught.value.code == code


@given(
    st.sampled_from(["JPEG", "PNG", "WEBP", "GIF", "AVIF"]).map(encoded),
    st.data(),
)
def test_damaged_headers_raise_nothing_else(data, draw):
    """Whatever bytes are changed or cut, the answer is a header or UnreadableImage."""
    position = draw.draw(st.integers(0, min(len(data), 64) - 1))
    damaged = bytearray(data)
    damaged[position] = draw.draw(st.integers(0, 255))
    cut = draw.draw(st.integers(0, len(data)))
    for candidate in (bytes(damaged), data[:cut], bytes(damaged)[:cut]):
        with contextlib.suppress(UnreadableImage):
            assert read_header(candidate).pixels > 0
