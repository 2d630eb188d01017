"""What one file can make the metadata readers keep and do, whatever it holds."""

import struct
import zlib

import pytest

from services.worker.provenance.containers import MAX_BLOCK, MAX_SEGMENTS, MAX_TOTAL, read_blocks

MIB = 1024 * 1024
BOMB = zlib.compress(b"prompt " * (MIB // 7))


def png(*chunks: tuple[bytes, bytes]) -> bytes:
    parts = [struct.pack(">I", len(body)) + kind + body + bytes(4) for kind, body in chunks]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


@pytest.mark.parametrize(
    "chunk", [(b"zTXt", b"a\x00\x00" + BOMB), (b"iTXt", b"a\x00\x01\x00\x00\x00" + BOMB)]
)
def test_many_compressed_texts_share_one_limit(chunk):
    blocks = read_blocks(png(*[chunk] * 64))
    assert sum(len(text) for _, text in blocks.texts) <= MAX_TOTAL


def test_xmp_packets_share_one_limit():
    packet = (b"iTXt", b"XML:com.adobe.xmp\x00\x01\x00\x00\x00" + BOMB)
    assert sum(map(len, read_blocks(png(*[packet] * 4)).xmp)) <= MAX_TOTAL


def test_image_resources_do_not_grow_with_the_file():
    body = b"Photoshop 3.0\x00" + bytes(60_000)
    segment = b"\xff\xed" + struct.pack(">H", len(body) + 2) + body
    blocks = read_blocks(b"\xff\xd8" + segment * 300)
    assert 0 < len(blocks.photoshop) <= MAX_BLOCK


def test_what_stands_behind_too_many_segments_is_not_looked_at():
    comment = b"\xff\xfe\x00\x04hi"
    late = b"\xff\xd8" + b"\xff\x01" * MAX_SEGMENTS + comment
    assert read_blocks(late).texts == []
    assert read_blocks(b"\xff\xd8" + b"\xff" * MIB + comment[1:]).texts == [("comment", "hi")]
    assert read_blocks(png(*[(b"prVt", b"")] * MAX_SEGMENTS, (b"tEXt", b"a\x00b"))).texts == []
    webp = b"RIFF\x00\x00\x00\x00WEBP" + b"ABCD\x00\x00\x00\x00" * MAX_SEGMENTS
    assert read_blocks(webp + b"C2PA\x00\x00\x00\x00").c2pa is False
