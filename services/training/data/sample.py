"""A small synthetic data set: for tests, and to try the whole way without any photos.

"Real" pictures are greenish, "generated" ones reddish with a faint lattice of 8 pixels. A
tiny network learns that in seconds; what it learns says nothing about photos.
"""

import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from services.training.data.cache import sha256_of
from services.training.data.manifest import Label, Record, write_records

# Source groups of each split: how many are real, and which generators the others are by.
_LAYOUT: dict[str, tuple[int, tuple[str, ...]]] = {
    "train": (5, ("lattice-a", "lattice-b", "lattice-a", "lattice-b", "lattice-c")),
    "val": (2, ("lattice-a", "lattice-c")),
    "test_unseen_source": (2, ("lattice-b", "lattice-c")),
    "test_unseen_generator": (0, ("lattice-x", "lattice-y")),
    "art": (0, ("lattice-c",)),
}
_GREEN, _RED = (95, 150, 105), (150, 100, 95)


@dataclass(frozen=True, slots=True)
class SampleSpec:
    """How large the set is. Photos have a short side of `side` pixels."""

    seed: int = 17
    per_group: int = 6
    side: int = 96


def write_sample(folder: Path, spec: SampleSpec) -> list[Record]:
    """Write manifest.csv and images/ under `folder`; the same spec gives the same pixels.

    Raises OSError when the folder cannot be written.
    """
    rng = np.random.default_rng(spec.seed)
    records = [
        _write(folder, split, label, generator, group, spec, rng)
        for split, label, generator, group in _groups()
        for _ in range(spec.per_group)
    ]
    write_records(folder / "manifest.csv", records)
    return records


def _groups() -> Iterator[tuple[str, Label, str, str]]:
    for split, (n_real, generators) in _LAYOUT.items():
        for number in range(n_real):
            yield split, "real", "real-photo", f"{split}-shop-{number}"
        for number, generator in enumerate(generators):
            yield split, "ai_generated", generator, f"{split}-gallery-{number}"


def _write(
    folder: Path,
    split: str,
    label: Label,
    generator: str,
    group: str,
    spec: SampleSpec,
    rng: np.random.Generator,
) -> Record:
    # Size and quality are drawn alike for both classes: only the pixels tell.
    long_side = round(spec.side * float(rng.choice([1.0, 1.25, 1.5])))
    size = (spec.side, long_side) if rng.random() < 0.5 else (long_side, spec.side)
    image = Image.fromarray(draw(label, generator, size, rng))
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=int(rng.integers(70, 95)))
    data = buffer.getvalue()
    digest = sha256_of(data)
    file = f"images/{'ai' if label == 'ai_generated' else 'real'}/{digest[:16]}.jpg"
    path = folder / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return Record(
        file=file,
        sha256=digest,
        label=label,
        generator=generator,
        group=group,
        split=split,
        category="product",
        width=size[0],
        height=size[1],
        stored="original",
        source_sha256=digest,
        source_format="JPEG",
        source_width=size[0],
        source_height=size[1],
        licence="CC0-1.0",
    )


def draw(
    label: Label, generator: str, size: tuple[int, int], rng: np.random.Generator
) -> NDArray[np.uint8]:
    """Return one picture uint8 `[H, W, 3]` of a few shapes; `size` is (width, height), pixels."""
    tint = _RED if label == "ai_generated" else _GREEN
    canvas = Image.new("RGB", size, _near(tint, 15, rng))
    pen = ImageDraw.Draw(canvas)
    for _ in range(int(rng.integers(2, 6))):
        corner = rng.integers(0, size)
        extent = rng.integers(min(size) // 6, min(size) // 2, 2)
        shape = pen.ellipse if rng.random() < 0.5 else pen.rectangle
        shape([*map(int, corner), *map(int, corner + extent)], fill=_near(tint, 50, rng))
    # Both have noise, or else the number of bytes would tell them apart.
    pixels = np.asarray(canvas, dtype=np.float64) + rng.normal(0, 12, (size[1], size[0], 3))
    if label == "ai_generated":
        pixels = pixels + _lattice(generator, size)[..., None]
    return np.clip(pixels, 0, 255).astype(np.uint8)


def _lattice(generator: str, size: tuple[int, int]) -> NDArray[np.float64]:
    """Return `[H, W]` waves of 8 pixels along a direction that the generator's last letter sets."""
    angle = (ord(generator[-1]) % 6) * np.pi / 6
    y, x = np.mgrid[: size[1], : size[0]]
    waves: NDArray[np.float64] = 4 * np.sin(2 * np.pi / 8 * (x * np.cos(angle) + y * np.sin(angle)))
    return waves


def _near(
    colour: tuple[int, int, int], spread: int, rng: np.random.Generator
) -> tuple[int, int, int]:
    red, green, blue = (
        int(np.clip(channel + rng.integers(-spread, spread + 1), 0, 255)) for channel in colour
    )
    return red, green, blue
