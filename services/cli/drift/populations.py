"""Kinds of photos that a simulation draws from: made up, or copied from judged ones."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from random import Random
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from shared.db.drift.simulation import JudgedPhoto
    from shared.db.drift.synthetic import SyntheticPhoto

_DIMENSIONS = 16
# P(AI-generated) = sigmoid(logit / temperature); the two thresholds of the made-up model.
_TEMPERATURE = 1.3
_REAL_BELOW, _AI_FROM = 0.3, 0.7
_CATEGORIES = ("kitchen", "garden", "toys")
# Ordinary uploads' JPEG qualities, and those after a CDN began to save bytes.
_QUALITIES, _LOW_QUALITIES = (75, 80, 85, 90, 95), (40, 45, 50)
_WEBP_SHARE = 0.1
_AI_SHARE = 0.12


@dataclass(frozen=True, slots=True)
class Drawn:
    """A photo to store, and the judged one that it copies, if any."""

    photo: "SyntheticPhoto"
    original: "JudgedPhoto | None" = None


class Population(Protocol):
    """A kind of photos."""

    def draw(self, rng: Random, at: datetime, job: int) -> Drawn:
        """Return one photo of it, judged at `at`, alone in the job of this number."""


@dataclass(frozen=True, slots=True)
class Ordinary:
    """A shop's photos, some of them of generators that the model knows.

    With `low_quality` they were encoded again: the scores move a little, what they show does not.
    """

    low_quality: bool = False

    def draw(self, rng: Random, at: datetime, job: int) -> Drawn:
        """Return one photo of it."""
        generated = rng.random() < _AI_SHARE
        logit = rng.gauss(3.5, 1.5) if generated else rng.gauss(-4.0, 1.6)
        vector = [rng.gauss(0.0, 1.0) for _ in range(_DIMENSIONS)]
        vector[0] += 2.5 if generated else 0.0
        webp = not self.low_quality and rng.random() < _WEBP_SHARE
        quality = rng.choice(_LOW_QUALITIES if self.low_quality else _QUALITIES)
        if self.low_quality:
            logit += 0.9
            vector[3] += 0.8
        return _made_up(rng, at, job, logit, vector, None if webp else quality)


@dataclass(frozen=True, slots=True)
class NewGenerator:
    """Photos of a generator that the model does not know: alike among themselves, and in doubt."""

    def draw(self, rng: Random, at: datetime, job: int) -> Drawn:
        """Return one photo of it."""
        vector = [rng.gauss(0.0, 0.35) for _ in range(_DIMENSIONS)]
        vector[5] += 3.0
        vector[7] -= 2.0
        quality = rng.choice(_QUALITIES)
        return _made_up(rng, at, job, rng.gauss(-0.3, 1.2), vector, quality)


@dataclass(frozen=True, slots=True)
class Copies:
    """Judged photos of a dataset, drawn again and again."""

    photos: "Sequence[JudgedPhoto]"

    def draw(self, rng: Random, at: datetime, job: int) -> Drawn:
        """Return a copy of one of them."""
        from shared.db.drift.synthetic import SyntheticPhoto

        photo = rng.choice(self.photos)
        copy = SyntheticPhoto(
            at=at,
            job=job,
            label=photo.label,
            probability=photo.probability,
            logit=photo.logit,
            category=photo.category,
            format=photo.content_type.removeprefix("image/"),
            encoder_quality=photo.encoder_quality,
            side=round(math.sqrt(photo.width * photo.height)),
            embedding=photo.embedding,
        )
        return Drawn(copy, photo)


def _made_up(
    rng: Random,
    at: datetime,
    job: int,
    logit: float,
    vector: Sequence[float],
    quality: int | None,
) -> Drawn:
    from shared.db.drift.synthetic import SyntheticPhoto

    probability = 1 / (1 + math.exp(-logit / _TEMPERATURE))
    doubtful = "uncertain" if probability >= _REAL_BELOW else "real"
    photo = SyntheticPhoto(
        at=at,
        job=job,
        label="ai_generated" if probability >= _AI_FROM else doubtful,
        probability=probability,
        logit=logit,
        category=rng.choice(_CATEGORIES),
        # WebP has no quantisation tables.
        format="jpeg" if quality else "webp",
        encoder_quality=quality,
        side=rng.choice((600, 1000, 1600)),
        embedding=vector,
    )
    return Drawn(photo)
