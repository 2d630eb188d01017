import contextlib
import io
import struct
import threading
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image, ImageFile

from shared.ml.errors import UnreadableImage
from shared.ml.preprocess import crop_or_pad, decode, exif_orientation, preprocess, upright
from shared.ml.spec import PreprocessSpec

SPEC = PreprocessSpec(resize_short=96, height=64, width=80)


def photo(width, height, mode="RGB"):
    """A smooth picture without symmetry, so that a flip or a swapped channel shows."""
    y, x = np.mgrid[0:height, 0:width]
    channels = [255 * x / width, 255 * y / height, 255 * (x + y) / (width + height)]
    return Image.fromarray(np.stack(channels, -1).astype(np.uint8)).convert(mode)


def saved(image, fmt, **options):
    buffer = io.BytesIO()
    image.save(buffer, fmt, **options)
    return buffer.getvalue()


def orientation_exif(value, order="II"):
    mark = "<" if order == "II" else ">"
    entry = struct.pack(f"{mark}HHIHH", 0x0112, 3, 1, value, 0)
    magic = order.encode() + struct.pack(f"{mark}HI", 42, 8)
    return b"Exif\x00\x00" + magic + struct.pack(f"{mark}H", 1) + entry + bytes(4)


def mean_error(actual, expected):
    return np.abs(actual.astype(int) - np.asarray(expected).astype(int)).mean()


@pytest.mark.parametrize("order", ["II", "MM"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_rotation_is_undone(orientation, order):
    """Each of EXIF's eight orientations comes out upright, as Pillow's own transpose has it."""
    inverse = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    upright = photo(90, 70)
    stored = upright.transpose(inverse[orientation]) if orientation > 1 else upright
    data = saved(stored, "JPEG", quality=98, exif=orientation_exif(orientation, order))
    assert mean_error(decode(data, 300), upright) < 2


@pytest.mark.parametrize(
    "exif",
    [
        b"",
        b"Exif\x00\x00",
        b"Exif\x00\x00II*\x00\xff\xff\xff\xff",
        b"Exif\x00\x00II*\x00\x08\x00\x00\x00\xff\xff" + b"\x12\x01",
        orientation_exif(0),
        orientation_exif(77),
        b"garbage",
    ],
)
def test_malformed_exif_means_upright_and_warns_nobody(exif):
    assert exif_orientation(exif) == 1
    assert decode(saved(photo(50, 40), "JPEG", exif=exif), 300).shape == (40, 50, 3)


@pytest.mark.parametrize(
    ("mode", "fmt"),
    [("RGB", "JPEG"), ("L", "JPEG"), ("CMYK", "JPEG"), ("P", "PNG"), ("1", "PNG"), ("L", "PNG")],
)
def test_colour_modes_become_rgb(mode, fmt):
    image = photo(100, 90, mode)
    options = {"quality": 98} if fmt == "JPEG" else {}
    decoded = decode(saved(image, fmt, **options), 300)
    assert decoded.dtype == np.uint8
    assert decoded.shape == (90, 100, 3)
    assert mean_error(decoded, image.convert("RGB")) < 2


@pytest.mark.parametrize(
    ("fmt", "options"),
    [
        ("WEBP", {"quality": 95}),
        ("WEBP", {"lossless": True}),
        ("AVIF", {"quality": 90}),
        ("GIF", {}),
        ("PNG", {}),
    ],
)
def test_formats_decode_to_the_same_picture(fmt, options):
    image = photo(100, 90)
    assert mean_error(decode(saved(image, fmt, **options), 300), image) < 10


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P", "RGB", "L"])
def test_transparency_becomes_white(mode):
    """Alpha channels and PNG's transparent colours alike: what is invisible is white."""
    if mode in ("RGBA", "LA"):
        image = Image.new(mode, (70, 70), (0,) * len(mode))
        data = saved(image, "PNG")
    else:
        transparent = (0, 0, 0) if mode == "RGB" else 0
        data = saved(Image.new(mode, (70, 70), 0), "PNG", transparency=transparent)
    assert (decode(data, 300) == 255).all()


def test_half_transparent_blends_with_white():
    data = saved(Image.new("RGBA", (70, 70), (0, 0, 0, 128)), "PNG")
    assert np.unique(decode(data, 300)).tolist() == [127]


def test_sixteen_bit_grey_is_scaled_not_clipped():
    values = np.linspace(0, 65535, 100 * 80).reshape(80, 100).astype(np.uint16)
    decoded = decode(saved(Image.fromarray(values), "PNG"), 300)
    assert (decoded[..., 0] == values >> 8).all()
    assert (decoded == decoded[..., :1]).all()


@pytest.mark.parametrize("fmt", ["GIF", "PNG", "WEBP"])
def test_first_frame_of_an_animation(fmt):
    frames = [Image.new("RGB", (80, 70), colour) for colour in ("#ff0000", "#0000ff", "#00ff00")]
    data = saved(frames[0], fmt, save_all=True, append_images=frames[1:], lossless=True)
    assert mean_error(decode(data, 300), frames[0]) < 3


@pytest.mark.parametrize(
    "size", [(1, 1), (1, 500), (2, 3), (64, 80), (5000, 12), (12, 5000), (640, 480)]
)
def test_every_size_gives_the_input_shape(size):
    """Pixels, lines, thumbnails and panoramas: always uint8 of the spec's shape, contiguous."""
    result = preprocess(saved(photo(*size), "PNG"), SPEC)
    assert result.shape == (64, 80, 3)
    assert result.dtype == np.uint8
    assert result.flags.c_contiguous


def test_large_photos_are_shrunk_to_the_short_side_and_small_ones_left():
    assert decode(saved(photo(400, 200), "PNG"), 96).shape == (96, 192, 3)
    small = photo(90, 95)
    assert (decode(saved(small, "PNG"), 96) == np.asarray(small)).all()


def test_shrinking_is_lanczos_of_the_full_picture():
    """No DCT scaling: the JPEG is decoded in full and then resized, as in training."""
    data = saved(photo(800, 640), "JPEG", quality=90)
    with Image.open(io.BytesIO(data)) as image:
        expected = image.convert("RGB").resize((120, 96), Image.Resampling.LANCZOS)
    assert (decode(data, 96) == np.asarray(expected)).all()


def test_small_photos_are_mirrored_around_their_own_middle():
    array = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3)
    padded = crop_or_pad(array, 4, 5)
    assert (padded[1:3, 1:4] == array).all()
    assert (padded[0, 1:4] == array[1]).all()
    assert (padded[1:3, 0] == array[:, 1]).all()


@given(
    arrays(np.uint8, st.tuples(st.integers(1, 40), st.integers(1, 40), st.just(3))),
    st.integers(1, 48),
    st.integers(1, 48),
)
def test_crop_or_pad_invents_no_value(array, height, width):
    result = crop_or_pad(array, height, width)
    assert result.shape == (height, width, 3)
    pixels = {tuple(pixel) for pixel in array.reshape(-1, 3).tolist()}
    assert {tuple(pixel) for pixel in result.reshape(-1, 3).tolist()} <= pixels


def chunk(kind, body):
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def test_a_bomb_is_refused_by_its_header():
    ihdr = chunk(b"IHDR", struct.pack(">IIBBBBB", 50_000, 50_000, 8, 2, 0, 0, 0))
    bomb = b"\x89PNG\r\n\x1a\n" + ihdr + chunk(b"IDAT", b"") + chunk(b"IEND", b"")
    with pytest.raises(UnreadableImage) as caught:
        preprocess(bomb, SPEC)
    assert caught.value.code == "too_many_pixels"
    assert "2500000000" in caught.value.detail


def test_the_pixel_limit_is_the_callers():
    data = saved(photo(100, 100), "PNG")
    assert preprocess(data, SPEC, max_pixels=10_000).shape == (64, 80, 3)
    with pytest.raises(UnreadableImage) as caught:
        preprocess(data, SPEC, max_pixels=9_999)
    assert caught.value.code == "too_many_pixels"


@pytest.mark.parametrize("fmt", ["JPEG", "PNG", "WEBP", "GIF"])
def test_truncated_files_say_so(fmt):
    noise = np.random.default_rng(0).integers(0, 256, (120, 160, 3), dtype=np.uint8)
    data = saved(Image.fromarray(noise), fmt)
    for share in (0.3, 0.6, 0.95):
        with pytest.raises(UnreadableImage) as caught:
            preprocess(data[: int(share * len(data))], SPEC)
        assert caught.value.code == "truncated_image"


def test_damage_that_is_not_truncation():
    data = bytearray(saved(photo(100, 100), "PNG"))
    start = data.index(b"IDAT") + 4
    data[start : start + 20] = bytes(20)
    with pytest.raises(UnreadableImage) as caught:
        preprocess(bytes(data), SPEC)
    assert caught.value.code == "unreadable_image"


@settings(deadline=None, max_examples=150)
@given(st.sampled_from(["JPEG", "PNG", "WEBP", "GIF", "AVIF"]), st.data())
def test_random_damage_raises_nothing_else(fmt, draw):
    """Any flipped bytes give an array of the right shape or UnreadableImage."""
    data = bytearray(saved(photo(48, 40), fmt))
    for _ in range(draw.draw(st.integers(1, 4))):
        data[draw.draw(st.integers(0, len(data) - 1))] = draw.draw(st.integers(0, 255))
    with contextlib.suppress(UnreadableImage):
        assert preprocess(bytes(data), SPEC, max_pixels=10**6).shape == (64, 80, 3)


def test_many_threads_agree_and_no_global_is_touched():
    before = Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES
    files = [saved(photo(200 + i, 150), fmt) for i, fmt in enumerate(["JPEG", "PNG", "WEBP"])]
    expected = [preprocess(data, SPEC) for data in files]
    wrong = []

    def work():
        for _ in range(10):
            for data, array in zip(files, expected, strict=True):
                if not (preprocess(data, SPEC) == array).all():
                    wrong.append(data)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert before == (Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES)


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P", "I;16"])
def test_large_photos_are_converted_in_strips_to_the_same_pixels(monkeypatch, mode):
    """Whole pictures at once took a 49-megapixel RGBA photo to 935 MB."""
    noise = np.random.default_rng(0).integers(0, 256, (301, 97, 4), dtype=np.uint8)
    if mode == "I;16":
        image = Image.fromarray(noise[..., 0].astype(np.uint16) * 251)
    elif mode == "P":
        image = Image.fromarray(noise).convert("RGB").quantize(64)
    else:
        image = Image.fromarray(noise).convert(mode)
    options = {"transparency": 3} if mode == "P" else {}
    buffer = io.BytesIO()
    image.save(buffer, "PNG", **options)
    whole = np.asarray(upright(buffer.getvalue()))
    monkeypatch.setattr("shared.ml.preprocess._STRIP_PIXELS", 5000)
    assert np.array_equal(np.asarray(upright(buffer.getvalue())), whole)
