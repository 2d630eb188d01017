"""A photo's bytes to the array that the network takes. Training and serving call the same code.

Thread-safe: no Pillow global is set or relied upon, so a service may call it from many threads.
"""

import io
import struct
from collections.abc import Callable
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import (
    AvifImagePlugin,
    GifImagePlugin,
    Image,
    ImageFile,
    PngImagePlugin,
    WebPImagePlugin,
)

from shared.ml.errors import UnreadableImage
from shared.ml.formats.header import ImageFormat, read_header
from shared.ml.formats.jpeg_file import JpegFile
from shared.ml.formats.png_chunks import without_texts
from shared.ml.spec import PreprocessSpec, StackSpec
from shared.ml.stack import Stack, stack_of

UInt8Array = NDArray[np.uint8]
_T = TypeVar("_T")

# Refused from the header, before decoding. "50-megapixel" phones take up to 8192 x 6144 pixels.
DEFAULT_MAX_PIXELS = 52_000_000

# Bytes of memory for each pixel while a photo is decoded, converted, turned and shrunk. Pillow has
# four for each picture; the decoded, the converted and the turned one are there at once.
BYTES_PER_PIXEL = 12
# Of the parts in which a photo is converted to RGB.
_STRIP_PIXELS = 1 << 20

_EXIF_ORIENTATION = 0x0112
_TRANSPOSE = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


# Plugins are called directly: `Image.open` compares the size with the process-wide
# MAX_IMAGE_PIXELS and warns, where `max_pixels` has decided already.
_PLUGINS: dict[ImageFormat, type[ImageFile.ImageFile]] = {
    "PNG": PngImagePlugin.PngImageFile,
    "WEBP": WebPImagePlugin.WebPImageFile,
    "GIF": GifImagePlugin.GifImageFile,
    "AVIF": AvifImagePlugin.AvifImageFile,
}


def preprocess(
    data: bytes, spec: PreprocessSpec | StackSpec, max_pixels: int = DEFAULT_MAX_PIXELS
) -> UInt8Array:
    """Turn an encoded photo into model input: uint8 RGB of `spec.shape`.

    Args:
        data: a JPEG, PNG, WebP, GIF or AVIF file; of an animation the first frame counts.
        spec: the model package's preprocess spec: one image `[height, width, 3]`, or a view and
            tiles `[1 + tiles, size, size, 3]` (see `shared.ml.stack`).
        max_pixels: a larger width times height is refused from the header.

    Raises:
        UnreadableImage: with code `empty_file`, `unsupported_type`, `too_many_pixels`,
            `truncated_image`, `damaged_image` or `unreadable_image`.
    """
    if isinstance(spec, StackSpec):
        return stack(data, spec, max_pixels).pixels
    return crop_or_pad(decode(data, spec.resize_short, max_pixels), spec.height, spec.width)


def stack(data: bytes, spec: StackSpec, max_pixels: int = DEFAULT_MAX_PIXELS) -> Stack:
    """Decode a photo and cut view and tiles out of it. Raises as `preprocess` does."""

    def cut(rgb: Image.Image, orientation: int) -> Stack:
        return stack_of(_upright(rgb, orientation), spec)

    return _decoded(data, max_pixels, cut)


def stack_and_photo(
    data: bytes, spec: StackSpec, max_long: int, max_pixels: int = DEFAULT_MAX_PIXELS
) -> tuple[Stack, UInt8Array]:
    """As `stack`, and the whole photo uint8 `[h, w, 3]`, its long side at most `max_long` pixels.

    From one decode, so that a huge photo is in memory once.
    """

    def cut(rgb: Image.Image, orientation: int) -> tuple[Stack, UInt8Array]:
        photo = _upright(rgb, orientation)
        scale = min(1.0, max_long / max(photo.size))
        width, height = (max(1, round(side * scale)) for side in photo.size)
        small = photo.resize((width, height), Image.Resampling.LANCZOS, reducing_gap=2.0)
        return stack_of(photo, spec), np.asarray(small)

    return _decoded(data, max_pixels, cut)


def upright(data: bytes, max_pixels: int = DEFAULT_MAX_PIXELS) -> Image.Image:
    """Decode a photo to an upright RGB image. Raises as `preprocess` does."""
    return _decoded(data, max_pixels, _upright)


def decode(data: bytes, resize_short: int, max_pixels: int = DEFAULT_MAX_PIXELS) -> UInt8Array:
    """Decode a photo upright, its short side brought to at most `resize_short` pixels.

    Returns uint8 RGB `[H, W, 3]`; transparency becomes white. Raises as `preprocess` does.
    """

    def small(rgb: Image.Image, orientation: int) -> UInt8Array:
        return np.array(_upright(shrink(rgb, resize_short), orientation), dtype=np.uint8)

    return _decoded(data, max_pixels, small)


def _decoded(data: bytes, max_pixels: int, use: Callable[[Image.Image, int], _T]) -> _T:
    """Return what `use` makes of the decoded RGB photo and its EXIF orientation."""
    header = read_header(data)
    if header.pixels > max_pixels:
        raise UnreadableImage(
            "too_many_pixels",
            f"{header.width}x{header.height} is {header.pixels} pixels, allowed are {max_pixels}",
        )
    try:
        with _opened(data, header.format) as image:
            image.load()
            return use(_to_rgb(image), exif_orientation(image.info.get("exif", b"")))
    except (MemoryError, UnreadableImage):
        raise  # the machine's trouble, not the photo's: worth another attempt
    except Exception as error:  # decoders raise nearly any type on hostile bytes
        raise _fault(error, data, header.format) from error


def _opened(data: bytes, fmt: ImageFormat) -> ImageFile.ImageFile:
    if fmt == "JPEG":
        return JpegFile(data)
    return _PLUGINS[fmt](io.BytesIO(without_texts(data) if fmt == "PNG" else data))


def _upright(image: Image.Image, orientation: int) -> Image.Image:
    return image.transpose(_TRANSPOSE[orientation]) if orientation in _TRANSPOSE else image


def shrink(image: Image.Image, resize_short: int) -> Image.Image:
    """Bring the short side down to `resize_short` pixels (LANCZOS); never enlarge."""
    short = min(image.size)
    if short <= resize_short:
        return image
    width, height = (max(resize_short, round(side * resize_short / short)) for side in image.size)
    return image.resize((width, height), Image.Resampling.LANCZOS)


def crop_or_pad(array: UInt8Array, height: int, width: int) -> UInt8Array:
    """Crop the centre of `[H, W, 3]`, and reflect what is missing, to `[height, width, 3]`."""
    top = max(0, array.shape[0] - height) // 2
    left = max(0, array.shape[1] - width) // 2
    array = array[top : top + height, left : left + width]
    missing = height - array.shape[0], width - array.shape[1]
    if any(missing):
        # Reflection repeats as often as needed; a 1-pixel side is repeated as it is.
        pads = [(side // 2, side - side // 2) for side in missing]
        array = np.pad(array, [*pads, (0, 0)], mode="reflect")
    return np.ascontiguousarray(array)


def exif_orientation(exif: bytes) -> int:
    """Return EXIF's orientation 1..8 from an EXIF block; 1 where absent or malformed.

    Read here because Pillow's parser warns process-wide about malformed EXIF, which is common.
    """
    tiff = exif.removeprefix(b"Exif\x00\x00")
    order = {b"II": "<", b"MM": ">"}.get(tiff[:2])
    if order is None:
        return 1
    try:
        (offset,) = struct.unpack_from(f"{order}I", tiff, 4)
        (count,) = struct.unpack_from(f"{order}H", tiff, offset)
        for entry in range(offset + 2, offset + 2 + 12 * count, 12):
            tag, kind, _, value = struct.unpack_from(f"{order}HHIH", tiff, entry)
            if tag == _EXIF_ORIENTATION and kind == 3:
                return value if 1 <= value <= 8 else 1
    except struct.error:
        return 1
    return 1


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode == "RGB" and not image.has_transparency_data:
        return image.convert("RGB")
    # Strip by strip: of a 50-megapixel photo each intermediate picture has 200 MB.
    width, height = image.size
    rows = max(1, _STRIP_PIXELS // width)
    if height <= rows:
        return _strip_to_rgb(image)
    rgb = Image.new("RGB", image.size)
    for top in range(0, height, rows):
        strip = image.crop((0, top, width, min(height, top + rows)))
        rgb.paste(_strip_to_rgb(strip), (0, top))
    return rgb


def _strip_to_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I"):  # 16-bit grey: Pillow's own conversion clips instead of scaling
        high_byte = np.clip(np.asarray(image).astype(np.int64), 0, 65535) >> 8
        return Image.fromarray(high_byte.astype(np.uint8)).convert("RGB")
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        white = Image.new("RGBA", rgba.size, "white")
        return Image.alpha_composite(white, rgba).convert("RGB")
    return image.convert("RGB")


def _fault(error: Exception, data: bytes, fmt: ImageFormat) -> UnreadableImage:
    if "truncated" in str(error).lower() or _is_cut_off(data, fmt):
        return UnreadableImage("truncated_image", f"the {fmt} file ends before its image does")
    return UnreadableImage("unreadable_image", f"the {fmt} file cannot be decoded: {error}")


def _is_cut_off(data: bytes, fmt: ImageFormat) -> bool:
    """Tell truncation from damage where the decoder's message does not."""
    if fmt == "WEBP":
        return int.from_bytes(data[4:8], "little") + 8 > len(data)
    if fmt == "PNG":
        return b"IEND" not in data[-16:]
    if fmt == "GIF":
        return not data.endswith(b";")
    return False
