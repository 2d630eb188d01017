"""A second look at a photo near a threshold, after a light re-encode of what the network saw."""

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image, JpegImagePlugin

UInt8Array = NDArray[np.uint8]


def reencode(pixels: UInt8Array, quality: int) -> UInt8Array:
    """Return model input uint8 `[H, W, 3]` after saving it as JPEG (4:2:0) of `quality`.

    Of a view and tiles, `[1 + K, S, S, 3]`, each image is saved by itself.
    The input is what `shared.ml.preprocess` made, so the second look costs no second decode of the
    photo and is the same in training and serving. Its 8x8 grid starts at the crop's corner, which
    is rarely on the grid of the photo's own JPEG: the second encoding is not a mere repetition.
    """
    if pixels.ndim == 4:
        return np.stack([reencode(image, quality) for image in pixels])
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=quality, subsampling="4:2:0")
    buffer.seek(0)
    # The plugin directly, as in `preprocess`: `Image.open` looks at process-wide limits.
    with JpegImagePlugin.JpegImageFile(buffer) as image:
        return np.array(image, dtype=np.uint8)
