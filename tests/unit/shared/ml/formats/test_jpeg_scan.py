"""JPEGs of which parts are missing are told from those that merely end oddly."""

import io

import numpy as np
import pytest
from PIL import Image

from shared.ml.errors import UnreadableImage
from shared.ml.formats.jpeg_scan import MAX_SCANS, MAX_SEGMENTS, jpeg_scans
from shared.ml.preprocess import upright
from tests.support.photos import samples

KINDS = {
    "baseline": {},
    "progressive": {"progressive": True},
    "with restarts": {"restart_marker_rows": 2},
    "optimised": {"optimize": True},
    "grey": {},
}
END = b"\xff\xd9"


@pytest.fixture(scope="module")
def photo():
    return Image.open(io.BytesIO(next(iter(samples()))[1])).convert("RGB").resize((640, 480))


@pytest.fixture(params=KINDS)
def encoded(photo, request):
    buffer = io.BytesIO()
    image = photo.convert("L") if request.param == "grey" else photo
    image.save(buffer, "JPEG", quality=85, **KINDS[request.param])
    return buffer.getvalue()


def code(data: bytes) -> str:
    with pytest.raises(UnreadableImage) as caught:
        upright(data)
    return caught.value.code


def test_a_scan_that_is_cut_and_ends_properly_is_damaged(encoded):
    assert code(encoded[: len(encoded) // 2] + END) == "damaged_image"


def test_a_scan_that_is_cut_is_truncated(encoded):
    assert code(encoded[: len(encoded) // 2]) == "truncated_image"


@pytest.mark.parametrize("hole", [b"", bytes(6000)])
def test_a_hole_in_the_only_scan_is_damage(photo, hole):
    buffer = io.BytesIO()
    photo.save(buffer, "JPEG", quality=85)
    data, middle = buffer.getvalue(), len(buffer.getvalue()) // 2
    assert code(data[:middle] + hole + data[middle + 6000 :]) == "damaged_image"


def test_a_restart_marker_that_is_missing_is_damage(photo):
    buffer = io.BytesIO()
    photo.save(buffer, "JPEG", quality=85, restart_marker_rows=1)
    data = buffer.getvalue()
    first, second = data.index(b"\xff\xd3"), data.index(b"\xff\xd5")
    assert code(data[:first] + data[second:]) == "damaged_image"


def test_an_end_that_is_odd_changes_no_pixel(encoded):
    """No end marker, something behind it, fill before it: all of that is common."""
    whole = np.asarray(Image.open(io.BytesIO(encoded)).convert("RGB"))
    assert encoded.endswith(END)
    for odd in (
        encoded,
        encoded[:-2],
        encoded[:-2] + bytes(100),
        encoded[:-2] + b"\xff\xff\xff" + END,
        encoded + b"SEFT\xff\xd8\xff\xe0" * 5000,
    ):
        assert np.array_equal(np.asarray(upright(odd)), whole)


def test_scans_and_segments_without_end_are_refused(encoded):
    start = encoded.index(b"\xff\xda")
    scan = b"\xff\xda\x00\x08\x01\x01\x00\x00\x3f\x00\x00"
    with pytest.raises(UnreadableImage, match="scans"):
        jpeg_scans(encoded[:start] + scan * (MAX_SCANS + 1) + END)
    with pytest.raises(UnreadableImage, match="segments"):
        jpeg_scans(encoded[:start] + b"\xff\xfe\x00\x02" * MAX_SEGMENTS + encoded[start:])


@pytest.mark.parametrize(
    "data", [b"", b"\xff\xd8", b"\xff\xd8\xff", b"\xff\xd8\xff\xda\x00\x02\xff"]
)
def test_markers_that_end_early_give_what_was_found(data):
    assert not jpeg_scans(data).complete or jpeg_scans(data).scans == 0
