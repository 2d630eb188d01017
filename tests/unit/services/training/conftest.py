"""A data set of 48 synthetic photos that a small network learns in seconds."""

import csv
import hashlib

import numpy as np
import pytest
from PIL import Image

from services.training.config import RunConfig

SPLITS = ("train", "train", "val", "test_unseen_source")


def write_photo(path, label, rng):
    """Generated photos are mostly red, real ones mostly green, both with noise."""
    colour = (170, 90, 90) if label else (90, 170, 90)
    noise = rng.normal(0, 25, (64, 64, 3))
    pixels = np.clip(np.array(colour) + noise, 0, 255).astype(np.uint8)
    Image.fromarray(pixels).save(path, "JPEG", quality=int(rng.integers(70, 95)))


@pytest.fixture(scope="session")
def dataset(tmp_path_factory):
    folder = tmp_path_factory.mktemp("dataset")
    (folder / "images").mkdir()
    rng = np.random.default_rng(0)
    rows = []
    for number in range(48):
        label, split = number % 2, SPLITS[number // 2 % 4]
        file = f"images/{number:02d}.jpg"
        write_photo(folder / file, label, rng)
        rows.append(
            {
                "file": file,
                "sha256": hashlib.sha256((folder / file).read_bytes()).hexdigest(),
                "label": "ai_generated" if label else "real",
                "generator": f"generator-{number // 2 % 4}" if label else "real-photo",
                "group": f"group-{number % 8}",
                "split": split,
                "licence": "MIT" if number % 3 else "none-stated",
                "source_url": f"https://example.org/{number:02d}.jpg",
                "source_repo": f"shop/{number % 8}",
            }
        )
    for row in rows[-1:]:
        row["split"], row["group"] = "test_unseen_generator", "group-unseen"
    with (folder / "manifest.csv").open("w", newline="") as stream:
        writer = csv.DictWriter(stream, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    return folder


@pytest.fixture
def config(tmp_path):
    return RunConfig.model_validate(
        {
            "resize_short": 64,
            "model": {"architecture": "test_efficientnet", "base_weights": None, "drop_rate": 0},
            "augment": {"crop": 48},
            "fit": {
                "rounds": 4,
                "samples_per_round": 48,
                "batch_size": 16,
                "learning_rate": 0.01,
                "backbone_scale": 0.5,
                "ema_decay": 0.6,
                "freeze_batch_norm": True,
                "validate_every": 2,
                "workers": 0,
                "threads": 1,
                "device": "cpu",
            },
            "calibration": {"tiers": ["clean", "q40"]},
            "evaluation": {"input_sizes": [48, 64], "tiers": ["clean", "q40"], "bootstrap": 10},
            "package": {"version": "0.0.0-test", "output": str(tmp_path / "package")},
        }
    )
