"""Tiny copies of public data sets in their own layouts."""

import io

import numpy as np
import pyarrow as pa
from PIL import Image
from pyarrow import parquet

from services.training.public.config import PublicConfig

BROKEN = b"\x89PNG\r\n\x1a\n and nothing more"


def photo(number, label, side=72):
    """Generated photos are mostly red, real ones mostly green, both with noise."""
    rng = np.random.default_rng(number)
    colour = np.array((170, 90, 90) if label else (90, 170, 90))
    pixels = np.clip(colour + rng.normal(0, 25, (side, side, 3)), 0, 255).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def openfake_shard(path, rows, group=4):
    """Write rows (file, label, model) as the data set has them: images as structs."""
    table = pa.table(
        {
            "image": pa.array(
                [{"bytes": data, "path": None} for data, _, _ in rows],
                pa.struct([("bytes", pa.binary()), ("path", pa.string())]),
            ),
            "prompt": ["a chair"] * len(rows),
            "label": [label for _, label, _ in rows],
            "model": [model for _, _, model in rows],
            "type": ["base"] * len(rows),
            "release_date": ["2025-01"] * len(rows),
        }
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    parquet.write_table(table, path, row_group_size=group)


def made_config(**changes):
    content = {
        "name": "tiny",
        "data": {
            "reader": "openfake",
            "licence": "CC-BY-4.0",
            "non_commercial": False,
            "files": ["core/train-*.parquet"],
        },
        "caps": {"per_generator": 100, "per_source": 100, "per_class": 100},
        "validation_share": 0.4,
        "eyes": {
            "spec": {"size": 32, "tiles": 2, "grid": 2, "max_long": 224},
            "package": {"version": "tiny"},
        },
        "workers": 0,
    }
    return PublicConfig.model_validate(content | changes)
