"""Files made to keep header walkers busy are refused after little work; odd ones are still read."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from shared.ml.errors import UnreadableImage
from shared.ml.formats.header import MAX_BLOCKS, MAX_SEGMENTS, read_header
from shared.ml.formats.png_chunks import MAX_CHUNKS, without_texts
from shared.ml.preprocess import upright

MIB = 1024 * 1024


class Counting(io.BytesIO):
    """Counts the calls that a walker makes."""

    calls = 0

    def read(self, size=-1):
        self.calls += 1
        return super().read(size)


def encoded(fmt: str, **options) -> bytes:
    noise = np.random.default_rng(0).integers(0, 256, (60, 80, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(noise).save(buffer, fmt, **options)
    return buffer.getvalue()


def chunk(kind: bytes, body: bytes = b"") -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


JPEG, PNG, GIF = encoded("JPEG"), encoded("PNG"), encoded("GIF")
HOSTILE = {
    "fill": JPEG[:2] + b"\xff" * 20 * MIB + JPEG[3:],
    "segments": JPEG[:2] + b"\xff\xfe\x00\x02" * 5 * MIB + JPEG[2:],
    "chunks": PNG[:33] + chunk(b"prVt") * MIB + PNG[33:],
    "blocks": b"GIF89a" + bytes(7) + b"\x21\xfe" + b"\x01x" * 10 * MIB + b"\x00" + GIF[13:],
    "extensions": b"GIF89a" + bytes(7) + b"\x21\xfe\x00" * 6 * MIB + GIF[13:],
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_work_on_a_header_is_bounded(kind):
    stream = Counting(HOSTILE[kind])
    with pytest.raises(UnreadableImage, match="too much"):
        read_header(stream)
    assert stream.calls < 5 * max(MAX_SEGMENTS, MAX_BLOCKS)


def test_a_few_fill_bytes_and_comments_are_usual():
    comment = b"\xff\xff\xff\xfe\x00\x04hi"
    header = read_header(JPEG[:2] + comment * 300 + JPEG[2:])
    assert (header.width, header.height) == (80, 60)
    assert upright(JPEG[:2] + comment * 300 + JPEG[2:]).size == (80, 60)


def test_a_png_is_read_whatever_its_texts_and_profile_weigh():
    info = PngImagePlugin.PngInfo()
    info.add_text("zip", "x" * 3 * MIB, zip=True)
    info.add_itxt("XML:com.adobe.xmp", "y" * 3 * MIB, zip=True)
    heavy = encoded("PNG", pnginfo=info, icc_profile=bytes(3 * MIB))
    late = PNG[:-12] + chunk(b"zTXt", b"a\x00\x00" + zlib.compress(bytes(9 * MIB))) + PNG[-12:]
    for data in (heavy, late):
        assert np.array_equal(np.asarray(upright(data)), np.asarray(upright(PNG)))


def test_chunks_behind_the_pixels_are_bounded_too():
    with pytest.raises(UnreadableImage, match="chunks"):
        upright(PNG[:-12] + chunk(b"prVt") * (MAX_CHUNKS + 1) + PNG[-12:])


@pytest.mark.parametrize("data", [b"", PNG[:8], PNG[:20], PNG[:50], PNG[:-5], PNG + b"more"])
def test_what_is_malformed_stays_as_it_is(data):
    assert without_texts(data) == data


def test_an_avif_of_the_brand_miaf_is_one():
    data = bytearray(encoded("AVIF"))
    data[8:12] = b"miaf"
    assert upright(bytes(data)).size == (80, 60)
