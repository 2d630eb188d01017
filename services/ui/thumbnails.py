"""Small previews of uploaded photos, as data URIs."""

import base64
import io

from PIL import Image, ImageOps

SIDE_PX = 340
# A header may promise any size: nothing larger is decoded for a preview.
_MAX_PIXELS = 60_000_000


def data_uri(photo: bytes, side_px: int = SIDE_PX) -> str | None:
    """Return a JPEG preview of at most `side_px` a side; None when the bytes cannot be shown."""
    try:
        with Image.open(io.BytesIO(photo)) as image:
            if image.width * image.height > _MAX_PIXELS:
                return None
            image.draft("RGB", (side_px, side_px))
            upright = ImageOps.exif_transpose(image)
            upright.thumbnail((side_px, side_px))
            buffer = io.BytesIO()
            _flattened(upright).save(buffer, "JPEG", quality=80)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return None
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()


def _flattened(image: Image.Image) -> Image.Image:
    """Return `image` as RGB, transparent parts on white."""
    if "A" not in image.getbands() and "transparency" not in image.info:
        return image.convert("RGB")
    opaque = image.convert("RGBA")
    white = Image.new("RGBA", opaque.size, "white")
    return Image.alpha_composite(white, opaque).convert("RGB")
