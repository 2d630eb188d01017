"""Content-aligned partners: real training photos passed through a generator's autoencoder.

Such a pair differs only in what the decoder leaves behind (AlignedForensics arXiv 2410.11835,
B-Free 2412.17671, DDA 2505.14359). A partner keeps its photo's size and is encoded at the same JPEG
quality, as else the missing second encoding would be the clue.
"""

import csv
import hashlib
import io
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import nn

from services.training.data.photos import MANIFEST_COLUMNS, Row
from services.training.fit.taef2 import STRIDE
from shared.ml.preprocess import UInt8Array, decode

GENERATOR = "flux2-autoencoder"
# Name of the partners' split: a run takes them in by naming it in `data.extra_splits`.
SPLIT = "reconstructed"
MANIFEST = "reconstructed.csv"
# What `stored: jpeg82` photos of the dataset were saved with.
_QUALITY = 82
Tell = Callable[[int, int], None]


def choose(rows: Sequence[Row], count: int) -> list[Row]:
    """Return up to `count` real training photos, one from each group in turn, by file hash."""
    groups: defaultdict[str, list[Row]] = defaultdict(list)
    for row in sorted(rows, key=lambda row: row.sha256):
        if row.split == "train" and not row.label:
            groups[row.group].append(row)
    ranked = [(rank, row) for members in groups.values() for rank, row in enumerate(members)]
    ranked.sort(key=lambda pair: (pair[0], pair[1].sha256))
    return [row for _, row in ranked[:count]]


def reconstruct_all(
    rows: Sequence[Row], autoencoder: nn.Module, folder: Path, resize_short: int, tell: Tell
) -> Path:
    """Write each row's partner and their manifest under `folder`; skip what is there already.

    Raises OSError when the folder cannot be written.
    """
    images = folder / "images" / SPLIT
    images.mkdir(parents=True, exist_ok=True)
    for number, row in enumerate(rows, 1):
        target = images / f"{row.sha256[:16]}.jpg"
        if not target.exists():
            pixels = decode(row.path.read_bytes(), resize_short)
            part = target.with_suffix(".part")
            part.write_bytes(_jpeg(reconstruct(pixels, autoencoder)))
            part.replace(target)
        tell(number, len(rows))
    path = folder / MANIFEST
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, MANIFEST_COLUMNS)
        writer.writeheader()
        writer.writerows(_records(rows, images, folder))
    return path


def reconstruct(pixels: UInt8Array, autoencoder: nn.Module) -> UInt8Array:
    """Return a photo uint8 `[H, W, 3]` after encoding and decoding, of the same size.

    The sides are brought to a multiple of 8 by repeating the border, and cut back afterwards.
    """
    height, width = pixels.shape[:2]
    padding = ((0, -height % STRIDE), (0, -width % STRIDE), (0, 0))
    padded = np.pad(pixels, padding, mode="edge")
    tensor = torch.from_numpy(padded).permute(2, 0, 1)[None].float().div(255)
    with torch.inference_mode():
        output = autoencoder(tensor.contiguous(memory_format=torch.channels_last))
    array = output[0].permute(1, 2, 0).clamp(0, 1).mul(255).round().to(torch.uint8).numpy()
    result: UInt8Array = array[:height, :width]
    return result


def _jpeg(pixels: UInt8Array) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(buffer, "JPEG", quality=_QUALITY)
    return buffer.getvalue()


def _records(rows: Sequence[Row], images: Path, folder: Path) -> Iterator[dict[str, str]]:
    for row in rows:
        path = images / f"{row.sha256[:16]}.jpg"
        yield {
            "file": path.relative_to(folder).as_posix(),
            "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
            "label": "ai_generated",
            "generator": GENERATOR,
            "group": row.group,
            "split": SPLIT,
        }
