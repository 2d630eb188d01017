"""A dataset's photos for a simulation: the running workers judge them, as any other photo."""

import csv
import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

from services.cli.output import fail, say
from services.cli.servers import database_session
from shared.client.photo import Photo

if TYPE_CHECKING:
    from shared.client.http import DetectorClient
    from shared.db.drift.simulation import JudgedPhoto

# Ordinary traffic, and the generators that no model package was trained on.
ORDINARY_SPLIT = "val"
UNSEEN_SPLIT = "test_unseen_generator"
_ORDINARY_PHOTOS, _SHIFTED_PHOTOS = 160, 80
# Most photos of a shop are real, whatever a split's shares are.
_REAL_SHARE = 0.85
_BATCH = 16
_LOW_QUALITY = 45
_WAIT_SECONDS = 120.0


def judge_ordinary(client: "DetectorClient", folder: Path, rng: Random) -> "list[JudgedPhoto]":
    """Have a sample of the validation photos judged."""
    return _judge(client, _ordinary(folder, _ORDINARY_PHOTOS, rng))


def judge_unseen(client: "DetectorClient", folder: Path, rng: Random) -> "list[JudgedPhoto]":
    """Have photos of generators judged that the model has never seen."""
    return _judge(client, _sample(folder, UNSEEN_SPLIT, "ai_generated", _SHIFTED_PHOTOS, rng))


def judge_low_quality(client: "DetectorClient", folder: Path, rng: Random) -> "list[JudgedPhoto]":
    """Have validation photos judged that were encoded again as JPEG of quality 45."""
    photos = _ordinary(folder, _SHIFTED_PHOTOS, rng)
    return _judge(client, [Photo(photo.name, _encoded_again(photo)) for photo in photos])


def _ordinary(folder: Path, size: int, rng: Random) -> list[Photo]:
    real = round(size * _REAL_SHARE)
    photos = _sample(folder, ORDINARY_SPLIT, "real", real, rng)
    return photos + _sample(folder, ORDINARY_SPLIT, "ai_generated", size - real, rng)


def _sample(folder: Path, split: str, label: str, size: int, rng: Random) -> list[Photo]:
    manifest = folder / "manifest.csv"
    try:
        with manifest.open(newline="", encoding="utf-8") as lines:
            wanted = {"split": split, "label": label}
            rows = [row for row in csv.DictReader(lines) if wanted.items() <= row.items()]
    except OSError as error:
        fail(f"{manifest}: {error.strerror or error}.")
    paths = [folder / row["file"] for row in rows if row.get("file")]
    there = [path for path in paths if path.is_file()]
    if len(there) < size // 4:
        what = f"{label} photos of split {split!r}"
        fail(f"{manifest} lists {len(there)} {what} that are there: too few.")
    chosen = rng.sample(there, min(size, len(there)))
    return [Photo(path.name, path) for path in chosen]


def _judge(client: "DetectorClient", photos: Sequence[Photo]) -> "list[JudgedPhoto]":
    from shared.db.drift.simulation import take_judged

    judged: list[JudgedPhoto] = []
    for batch in _batches(photos):
        job = client.jobs.wait(client.jobs.submit(batch).id, _WAIT_SECONDS)
        # At once: a check of the real model must not meet these.
        with database_session() as session:
            judged += take_judged(session, job.id)
        say(f"judged {len(judged)} of {len(photos)} photos")
    if not judged:
        fail("no photo was judged.", code=1)
    return judged


def _batches(photos: Sequence[Photo]) -> Iterator[Sequence[Photo]]:
    for start in range(0, len(photos), _BATCH):
        yield photos[start : start + _BATCH]


def _encoded_again(photo: Photo) -> bytes:
    try:
        from PIL import Image
    except ModuleNotFoundError:
        fail("this needs Pillow: pip install pillow.")
    with photo.open() as stream, Image.open(stream) as image:
        buffer = io.BytesIO()
        image.convert("RGB").save(buffer, "JPEG", quality=_LOW_QUALITY)
    return buffer.getvalue()
