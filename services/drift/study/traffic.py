"""A marketplace's made-up week: tenants with days of their own, listings, files, real scores."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from services.drift.statistics.outcome import FloatArray
from services.drift.study.scores import Scores, Source

Indices = NDArray[np.int64]

EPOCH = datetime(2026, 1, 5, tzinfo=UTC)
CATEGORIES = ("shoes", "bags", "furniture", "electronics", "food", "toys")
FORMATS = ("jpeg", "webp", "png")
QUALITIES = (55, 65, 75, 85, 92)
SIDES = (400, 800, 1600, 3000)
# How far an encoding of quality 55 moves a photo in embedding space, from one of 92: the root mean
# square of 160 photos. Here all go in one direction; of these, half the way was common to all.
_ENCODING = 0.45


@dataclass(frozen=True, slots=True)
class Tenant:
    """A marketplace. Shares are `[K]` over the module's values; `phase` shifts its day, hours."""

    id: UUID
    share: float
    phase: float
    generated: float
    categories: FloatArray
    formats: FloatArray
    qualities: FloatArray
    sides: FloatArray
    sources: FloatArray


@dataclass(frozen=True, slots=True)
class Shift:
    """What is different from ordinary traffic.

    `new_share` of the listings come from an unseen generator; `recoded` of the photos pass a new
    encoder of quality 55. Quality moves z (see Source), at 55 by `recoded_z`, as ever.
    """

    new_share: float = 0.0
    new_source: int = 0
    recoded: float = 0.0
    recoded_z: float = -0.3
    # Only this tenant's photos, when given.
    tenant: int | None = None


@dataclass(frozen=True, slots=True)
class Photos:
    """Photos as arrays `[N]`, in the order of time; embeddings `[N, D]`."""

    hours: FloatArray
    tenants: Indices
    jobs: Indices
    positions: Indices
    logits: FloatArray
    probabilities: FloatArray
    labels: Indices
    categories: Indices
    formats: Indices
    qualities: Indices
    sides: Indices
    embeddings: FloatArray
    new: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.hours)

    def take(self, chosen: NDArray[np.bool_] | Indices) -> "Photos":
        """Return some of them."""
        values = {name: getattr(self, name)[chosen] for name in self.__slots__}
        return Photos(**values)


@dataclass(frozen=True, slots=True)
class Marketplace:
    """Tenants, and what the model says of photos.

    `encoding` `[D]` is where the poorest encoding moves an embedding.
    """

    scores: Scores
    tenants: Sequence[Tenant]
    encoding: FloatArray = field(repr=False)

    def week(
        self,
        rng: np.random.Generator,
        photos_per_hour: float,
        first_hour: int,
        hours: int,
        shift: Shift = Shift(),
    ) -> Photos:
        """Return the photos of some hours, counted from EPOCH."""
        tenant, hour = self._listings(rng, photos_per_hour / 2.5, first_hour, hours)
        sizes = np.minimum(rng.geometric(0.4, tenant.size), 8)
        job = np.repeat(np.arange(tenant.size), sizes)
        starts = np.cumsum(sizes) - sizes
        position = np.arange(job.size) - np.repeat(starts, sizes)
        return self._photos(rng, tenant, hour, job, position, shift)

    def _listings(
        self, rng: np.random.Generator, per_hour: float, first_hour: int, hours: int
    ) -> tuple[Indices, FloatArray]:
        tenants, times = [], []
        slots = np.arange(first_hour, first_hour + hours)
        for index, tenant in enumerate(self.tenants):
            day = 1 + 0.7 * np.sin(2 * np.pi * (slots + tenant.phase) / 24)
            week = np.where(slots // 24 % 7 >= 5, 1.3, 0.9)
            # A sale here, an outage there: no hour is only its expectation.
            luck = rng.gamma(20.0, 1 / 20.0, hours)
            counts = rng.poisson(per_hour * tenant.share * day * week * luck)
            times.append(np.repeat(slots, counts) + rng.uniform(0, 1, counts.sum()))
            tenants.append(np.full(counts.sum(), index))
        time = np.concatenate(times)
        order = np.argsort(time)
        return np.concatenate(tenants)[order], time[order]

    def _photos(
        self,
        rng: np.random.Generator,
        tenant: Indices,
        hour: FloatArray,
        job: Indices,
        position: Indices,
        shift: Shift,
    ) -> Photos:
        concerned = np.ones(tenant.size, bool) if shift.tenant is None else tenant == shift.tenant
        new = concerned & (rng.uniform(size=tenant.size) < shift.new_share)
        generated = rng.uniform(size=tenant.size) < self._each(tenant, "generated")
        sources, source = self._sources(rng, tenant, generated, new, shift)
        files = [self._draw(rng, tenant[job], name) for name in ("formats", "qualities", "sides")]
        recoded = concerned[job] & (rng.uniform(size=job.size) < shift.recoded)
        qualities = np.where(recoded, 0, files[1])
        drawn = _draw_rows(rng, sources, source, job)
        z = drawn[:, 0] + shift.recoded_z * _lost(qualities)
        probability = 1 / (1 + np.exp(-z))
        labels = np.digitize(probability, [self.scores.real_below, self.scores.ai_above])
        return Photos(
            hours=hour[job],
            tenants=tenant[job],
            jobs=job,
            positions=position,
            logits=(z - self.scores.bias) * self.scores.temperature,
            probabilities=probability,
            labels=labels,
            categories=self._draw(rng, tenant, "categories")[job],
            formats=files[0],
            qualities=qualities,
            sides=files[2],
            embeddings=drawn[:, 1:] + _lost(qualities)[:, None] * self.encoding,
            new=new[job],
        )

    def _sources(
        self,
        rng: np.random.Generator,
        tenant: Indices,
        generated: NDArray[np.bool_],
        new: NDArray[np.bool_],
        shift: Shift,
    ) -> tuple[list[Source], Indices]:
        """Return all sources, and each listing's as an index into them; the new one is last."""
        real, known = self.scores.real, self.scores.known
        unseen = self.scores.unseen[shift.new_source]
        source = self._draw(rng, tenant, "sources")
        source = np.where(generated, len(real) + rng.integers(len(known), size=tenant.size), source)
        return [*real, *known, unseen], np.where(new, len(real) + len(known), source)

    def _each(self, tenant: Indices, name: str) -> FloatArray:
        return np.array([getattr(each, name) for each in self.tenants])[tenant]

    def _draw(self, rng: np.random.Generator, tenant: Indices, name: str) -> Indices:
        """Return a value of each tenant's own shares."""
        cumulative = np.cumsum([getattr(each, name) for each in self.tenants], axis=1)[tenant]
        uniform = rng.uniform(size=(tenant.size, 1)) * cumulative[:, -1:]
        return np.asarray((uniform > cumulative).sum(axis=1), np.int64)


def make_marketplace(scores: Scores, rng: np.random.Generator) -> Marketplace:
    """Return a marketplace of three tenants of unequal size, each with its own trade."""
    shares, phases, generated = (0.6, 0.3, 0.1), (0.0, 8.0, 16.0), (0.04, 0.08, 0.02)
    tenants = [
        Tenant(
            UUID(int=0xD41F7 + index),
            *(shares[index], phases[index], generated[index]),
            rng.dirichlet(np.full(len(CATEGORIES), 2.0)),
            rng.dirichlet([16.0, 3.0, 1.0]),
            rng.dirichlet([0.3, 1.0, 4.0, 9.0, 6.0]),
            rng.dirichlet([2.0, 6.0, 8.0, 4.0]),
            rng.dirichlet(np.full(len(scores.real), 2.0)),
        )
        for index in range(3)
    ]
    axis = rng.normal(size=scores.dimensions)
    return Marketplace(scores, tenants, _ENCODING * axis / np.linalg.norm(axis))


def _draw_rows(
    rng: np.random.Generator, sources: Sequence[Source], source: Indices, job: Indices
) -> FloatArray:
    """Return z and embedding `[N, 1 + D]` of photos whose listings `job` `[N]` have a `source`.

    A listing's photos all resemble one real photo, each in its own way.
    """
    of_photo = source[job]
    drawn = np.empty((job.size, sources[0].rows.shape[1]))
    for number, each in enumerate(sources):
        row = rng.integers(len(each.rows), size=source.size)
        mine = np.flatnonzero(of_photo == number)
        drawn[mine] = each.draw(rng, row[job[mine]])
    return drawn


def _lost(qualities: Indices) -> FloatArray:
    """Return what an encoding has lost: 0 at the best quality, 1 at the worst."""
    quality = np.array(QUALITIES, np.float64)
    lost: FloatArray = ((quality[-1] - quality) / (quality[-1] - quality[0]))[qualities]
    return lost


def moment(hour: float) -> datetime:
    """Return the time of an hour counted from EPOCH."""
    return EPOCH + timedelta(hours=float(hour))
