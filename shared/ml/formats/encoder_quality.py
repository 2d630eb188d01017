"""How strongly a JPEG was compressed, read from its quantisation tables alone."""

import io

import numpy as np
from numpy.typing import NDArray
from PIL import JpegImagePlugin

# Luminance table of ITU-T T.81, table K.1, row by row: libjpeg's at quality 50.
_LUMINANCE = (
    (16, 11, 10, 16, 24, 40, 51, 61),
    (12, 12, 14, 19, 26, 58, 60, 55),
    (14, 13, 16, 24, 40, 57, 69, 56),
    (14, 17, 22, 29, 51, 87, 80, 62),
    (18, 22, 37, 56, 68, 109, 103, 77),
    (24, 35, 55, 64, 81, 104, 113, 92),
    (49, 64, 78, 87, 103, 121, 120, 101),
    (72, 92, 95, 98, 112, 100, 103, 99),
)


class _JpegHeader(JpegImagePlugin.JpegImageFile):
    def _read_dpi_from_exif(self) -> None:
        """Skip Pillow's EXIF parse on opening: it warns about corrupt EXIF, process-wide."""


def encoder_quality(data: bytes) -> int | None:
    """Return libjpeg's quality 1..100 whose luminance table is nearest to the file's.

    Exact for encoders that scale the standard table as libjpeg does (`jpeg_quality_scaling` and
    `jpeg_add_quant_table`: Pillow, most image libraries and CDNs); for cameras and editors with
    tables of their own it is the quality of like strength. None for another format than JPEG, and
    for a header that cannot be read. No pixel is decoded.
    """
    if not data.startswith(b"\xff\xd8\xff"):
        return None
    try:
        with _JpegHeader(io.BytesIO(data)) as image:
            # The first component's: luminance, or the only one of a grey photo.
            table = np.array(image.quantization[image.layer[0][3]], dtype=np.int64)
    except MemoryError:
        raise
    except Exception:  # noqa: BLE001  # Pillow raises nearly any type on hostile bytes
        return None
    if table.shape != (64,):
        return None
    # Clipped: above 255 a table has 16 bits, and libjpeg's own stop there.
    distance = np.abs(_TABLES - np.minimum(table, 255)).sum(1)
    # Of equally near ones the highest: many low qualities share a saturated table.
    return int(100 - distance[::-1].argmin())


def _scaled(quality: int) -> NDArray[np.int64]:
    scale = 5000 // quality if quality < 50 else 200 - 2 * quality
    return np.clip((np.array(_LUMINANCE, dtype=np.int64).ravel() * scale + 50) // 100, 1, 255)


_TABLES = np.stack([_scaled(quality) for quality in range(1, 101)])
