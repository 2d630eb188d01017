"""A random file history, the same for both classes, so that history cannot tell them apart.

Real and generated photos differ in format, JPEG quality and size for reasons that have nothing to
do with how they were made. Each training photo is therefore rescaled, blurred, re-encoded and
cropped at random, blind to its label.
"""

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageEnhance, ImageFilter

from services.training.config import AugmentConfig
from shared.ml.preprocess import UInt8Array, crop_or_pad

_RESAMPLING = (
    Image.Resampling.BILINEAR,
    Image.Resampling.BICUBIC,
    Image.Resampling.LANCZOS,
    Image.Resampling.BOX,
)


def augment(pixels: UInt8Array, config: AugmentConfig, rng: np.random.Generator) -> UInt8Array:
    """Return a random crop uint8 `[crop, crop, 3]` of a randomly treated photo `[H, W, 3]`."""
    image = Image.fromarray(pixels)
    if rng.random() < config.flip:
        image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    # Shift the 8x8 grid of the photo's own JPEG against that of a re-encoding.
    left, top = (int(value) for value in rng.integers(0, 8, 2))
    image = image.crop((left, top, image.width, image.height))
    if rng.random() < config.rescale:
        image = _rescale(image, config, rng)
    if rng.random() < config.color:
        image = _color(image, rng)
    image = _soften(image, config, rng)
    if rng.random() < config.encode:
        image = _encode(image, config, rng)
        if rng.random() < config.encode_twice:
            image = _encode(image.crop((3, 5, image.width, image.height)), config, rng)
    return _random_crop(np.array(image), config.crop, rng)


def _rescale(image: Image.Image, config: AugmentConfig, rng: np.random.Generator) -> Image.Image:
    low, high = np.log(config.rescale_range)
    scale = float(np.exp(rng.uniform(low, high)))
    width, height = (max(16, round(side * scale)) for side in image.size)
    return image.resize((width, height), _RESAMPLING[int(rng.integers(len(_RESAMPLING)))])


def _color(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    for enhancer in (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color):
        image = enhancer(image).enhance(float(rng.uniform(0.8, 1.2)))
    return image


def _soften(image: Image.Image, config: AugmentConfig, rng: np.random.Generator) -> Image.Image:
    if rng.random() < config.blur:
        image = image.filter(ImageFilter.GaussianBlur(float(rng.uniform(0.3, 1.2))))
    if rng.random() < config.sharpen:
        image = image.filter(ImageFilter.UnsharpMask(1.0, int(rng.integers(30, 120)), 0))
    if rng.random() < config.noise:
        image = Image.fromarray(_add_noise(np.asarray(image), float(rng.uniform(1, 6)), rng))
    return image


def _add_noise(pixels: UInt8Array, sigma: float, rng: np.random.Generator) -> UInt8Array:
    noise: NDArray[np.float32] = rng.standard_normal(pixels.shape, dtype=np.float32)
    return np.clip(pixels + sigma * noise + 0.5, 0, 255).astype(np.uint8)


def _encode(image: Image.Image, config: AugmentConfig, rng: np.random.Generator) -> Image.Image:
    quality = int(rng.integers(config.quality_range[0], config.quality_range[1] + 1))
    buffer = io.BytesIO()
    if rng.random() < config.webp_share:
        image.save(buffer, "WEBP", quality=quality, method=0)
    else:
        subsampling = "4:2:0" if rng.random() < 0.7 else "4:4:4"
        image.save(buffer, "JPEG", quality=quality, subsampling=subsampling)
    with Image.open(buffer) as encoded:
        return encoded.convert("RGB")


def _random_crop(pixels: UInt8Array, crop: int, rng: np.random.Generator) -> UInt8Array:
    room = [max(0, side - crop) for side in pixels.shape[:2]]
    top, left = (int(rng.integers(0, space + 1)) for space in room)
    return crop_or_pad(pixels[top : top + crop, left : left + crop], crop, crop)
