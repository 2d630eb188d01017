"""A marketplace's made-up week: tenants with days of their own, listings, files, embeddings."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from services.drift.stattests.outcome import FloatArray
from services.drift.study.scores import Scores, Source

Indices = NDArray[np.int64]

EPOCH = datetime(2026, 1, 5, tzinfo=UTC)
DIMENSIONS = 16
CATEGORIES = ("shoes", "bags", "furniture", "electronics", "food", "toys")
FORMATS = ("jpeg", "webp", "png")
QUALITIES = (55, 65, 75, 85, 92)
SIDES = (400, 800, 1600, 3000)
# Part of a score's variance that the photos of one listing share.
_LISTING = 0.4
# How far an encoding of quality 55 moves a photo in embedding space, from one of 92.
_ENCODING = 1.5


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
    # Distance of the unseen generator's photos from those that it resembles, in embedding space.
    new_distance: float = 2.5
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
    """Tenants, the model's scores, and where each source's photos lie in embedding space."""

    scores: Scores
    tenants: Sequence[Tenant]
    centres: Mapping[str, FloatArray]
    axes: FloatArray = field(repr=False)

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
        z = _scores(rng, sources, source, job) + shift.recoded_z * _lost(qualities)
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
            embeddings=self._embeddings(rng, sources, source, job, z, qualities),
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
        unseen = replace(self.scores.unseen[shift.new_source], name="new")
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

    def _embeddings(
        self,
        rng: np.random.Generator,
        sources: Sequence[Source],
        source: Indices,
        job: Indices,
        z: FloatArray,
        qualities: Indices,
    ) -> FloatArray:
        centres = np.array([self.centres[each.name] for each in sources])
        listing = rng.normal(0, np.sqrt(_LISTING), (source.size, DIMENSIONS))
        noise = rng.normal(0, np.sqrt(1 - _LISTING), (job.size, DIMENSIONS))
        lost = _lost(qualities)[:, None]
        moved = 0.3 * z[:, None] * self.axes[0] + _ENCODING * lost * self.axes[1]
        embeddings: FloatArray = centres[source[job]] + listing[job] + noise + moved
        return embeddings


def make_marketplace(
    scores: Scores, rng: np.random.Generator, shift: Shift = Shift()
) -> Marketplace:
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
    known = [*scores.real, *scores.known]
    centres = {each.name: rng.normal(0, 0.5, DIMENSIONS) for each in known}
    away = rng.normal(size=DIMENSIONS)
    nearest = scores.known[int(rng.integers(len(scores.known)))]
    centres["new"] = centres[nearest.name] + shift.new_distance * away / np.linalg.norm(away)
    axes = rng.normal(size=(2, DIMENSIONS))
    return Marketplace(scores, tenants, centres, axes / np.linalg.norm(axes, axis=1, keepdims=True))


def _scores(
    rng: np.random.Generator, sources: Sequence[Source], source: Indices, job: Indices
) -> FloatArray:
    means = np.array([each.mean for each in sources])[source[job]]
    deviations = np.array([each.deviation for each in sources])[source[job]]
    shared = rng.normal(size=source.size)[job] * np.sqrt(_LISTING)
    own = rng.normal(size=job.size) * np.sqrt(1 - _LISTING)
    z: FloatArray = means + deviations * (shared + own)
    return z


def _lost(qualities: Indices) -> FloatArray:
    """Return what an encoding has lost: 0 at the best quality, 1 at the worst."""
    quality = np.array(QUALITIES, np.float64)
    lost: FloatArray = ((quality[-1] - quality) / (quality[-1] - quality[0]))[qualities]
    return lost


def moment(hour: float) -> datetime:
    """Return the time of an hour counted from EPOCH."""
    return EPOCH + timedelta(hours=float(hour))
