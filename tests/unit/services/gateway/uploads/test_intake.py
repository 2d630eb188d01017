import io
import struct
import zlib

import pytest
from PIL import Image

from services.gateway.http.problems import EMPTY_FILE, NO_USABLE_IMAGE
from services.gateway.uploads.intake import FileLimits, Refusal, inspect, refusal_problem
from shared.contracts.errors import ImageErrorCode
from shared.ml.formats.header import ImageHeader
from tests.support.photos import jpeg, truncated_jpeg

LIMITS = FileLimits(max_bytes=1_000_000, max_pixels=50_000_000)


def look(data, limits=LIMITS):
    return inspect(io.BytesIO(data), len(data), limits)


def png_header(width, height):
    body = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    crc = struct.pack(">I", zlib.crc32(body))
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + body + crc + b"\0\0\0\0IDAT"


def animation(frames):
    stream = io.BytesIO()
    images = [Image.new("RGB", (100, 100), (shade, 0, 0)) for shade in range(frames)]
    images[0].save(stream, "PNG", save_all=True, append_images=images[1:])
    return stream.getvalue()


def test_a_photo_is_taken_with_its_size():
    header = look(jpeg(1, 320, 240))
    assert isinstance(header, ImageHeader)
    assert (header.mime, header.width, header.height) == ("image/jpeg", 320, 240)


def test_a_truncated_photo_with_a_sound_header_is_taken():
    assert isinstance(look(truncated_jpeg()), ImageHeader)


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", ImageErrorCode.EMPTY_FILE),
        (b"just text", ImageErrorCode.UNSUPPORTED_TYPE),
        (jpeg(1)[:40], ImageErrorCode.TRUNCATED_IMAGE),
        (b"\xff\xd8\xff\xd9" + b"\0" * 40, ImageErrorCode.UNREADABLE_IMAGE),
        (png_header(50_000, 50_000), ImageErrorCode.TOO_MANY_PIXELS),
        (jpeg(1) + b"\0" * 1_000_000, ImageErrorCode.TOO_LARGE),
    ],
)
def test_what_cannot_be_judged_is_refused_with_its_code(data, code):
    refusal = look(data)
    assert isinstance(refusal, Refusal)
    assert refusal.code == code
    assert refusal.detail


def test_the_limits_themselves_are_allowed():
    data = png_header(10_000, 5_000)
    assert isinstance(look(data, FileLimits(len(data), 50_000_000)), ImageHeader)
    assert look(data, FileLimits(len(data), 49_999_999)).code == ImageErrorCode.TOO_MANY_PIXELS
    assert look(data, FileLimits(len(data) - 1, 50_000_000)).code == ImageErrorCode.TOO_LARGE


def test_the_frames_of_an_animation_count():
    data = animation(5)
    assert isinstance(look(data, FileLimits(10**6, 50_000)), ImageHeader)
    refusal = look(data, FileLimits(10**6, 49_999))
    assert refusal.code == ImageErrorCode.TOO_MANY_PIXELS
    assert "100 x 100 x 5 frames = 50000 pixels" in refusal.detail


def test_the_problem_has_the_common_reason_as_its_type():
    empty = Refusal(ImageErrorCode.EMPTY_FILE, "no bytes")
    problem = refusal_problem(["a.jpg", "b.jpg"], {1: empty, 0: empty})
    assert problem.kind == EMPTY_FILE
    assert [error["index"] for error in problem.errors] == [0, 1]
    assert problem.errors[1] == {
        "index": 1,
        "filename": "b.jpg",
        "code": "empty_file",
        "detail": "no bytes",
    }


def test_the_problem_of_different_reasons_is_no_usable_image():
    refusals = {
        0: Refusal(ImageErrorCode.EMPTY_FILE, "no bytes"),
        1: Refusal(ImageErrorCode.UNSUPPORTED_TYPE, "text"),
    }
    problem = refusal_problem(["a.jpg", "b.txt"], refusals)
    assert problem.kind == NO_USABLE_IMAGE
    assert "a.jpg: no bytes; b.txt: text" in problem.detail
