"""Counts of one segment as arrays, and all of a window's counts by scope and segment."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

import numpy as np
from numpy.typing import ArrayLike, NDArray

from services.drift.statistics.outcome import FloatArray
from services.drift.statistics.welch import Moments
from shared.contracts.drift import Dimension
from shared.contracts.states import Label
from shared.db.drift.counts import CountRow

LABELS = (Label.REAL, Label.UNCERTAIN, Label.AI_GENERATED)
# Of photos that a statement of origin decided, the network's own label is not known.
_LABEL_ROW = {label.value: row for row, label in enumerate(LABELS)} | {"stated": len(LABELS)}

# None is all tenants together.
Scope = UUID | None
Place = tuple[Dimension, str]


@dataclass(frozen=True, slots=True)
class Counts:
    """Photos judged anew in one segment.

    `bins` and `logits` (sums) are `[B]` by bin, `labels` and `label_p` (sums of the probability)
    `[4]` by LABELS, then stated ones. `sums` `[4]` are of p, p^2, confidence and its square.
    """

    bins: FloatArray
    logits: FloatArray
    labels: FloatArray
    label_p: FloatArray
    sums: FloatArray
    independent: float
    reused: float

    @classmethod
    def empty(cls, bins: int) -> "Counts":
        """Return no photos."""
        rows = len(LABELS) + 1
        zeros = (np.zeros(bins), np.zeros(bins), np.zeros(rows), np.zeros(rows), np.zeros(4))
        return cls(*zeros, 0.0, 0.0)

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(
            self.bins + other.bins,
            self.logits + other.logits,
            self.labels + other.labels,
            self.label_p + other.label_p,
            self.sums + other.sums,
            self.independent + other.independent,
            self.reused + other.reused,
        )

    def scaled(self, factor: float) -> "Counts":
        """Return the same shares of `factor` times as many photos."""
        return Counts(
            self.bins * factor,
            self.logits * factor,
            self.labels * factor,
            self.label_p * factor,
            self.sums * factor,
            self.independent * factor,
            self.reused * factor,
        )

    @property
    def photos(self) -> float:
        """How many."""
        return float(self.bins.sum())

    @property
    def weight(self) -> float:
        """Independent observations per photo, at most 1."""
        if self.photos == 0:
            return 0.0
        return min(1.0, max(1.0, self.independent) / self.photos)

    @property
    def tested_bins(self) -> FloatArray:
        """`bins` scaled to independent observations."""
        return self.bins * self.weight

    @property
    def tested_labels(self) -> FloatArray:
        """The network's own labels `[3]`, scaled to independent observations."""
        return self.labels[: len(LABELS)] * self.weight

    @property
    def mean_probability(self) -> float:
        """Mean P(AI-generated) by the network."""
        return float(self.sums[0] / self.photos)

    def moments(self, *, of_confidence: bool = False) -> Moments:
        """Return mean and variance of the probability, or of the confidence."""
        first, second = self.sums[2:] if of_confidence else self.sums[:2]
        mean = first / self.photos
        variance = max(0.0, float(second / self.photos - mean**2))
        return Moments(self.photos * self.weight, float(mean), variance)


@dataclass(frozen=True, slots=True)
class Cube:
    """All counts of a window: `cells[scope]` maps None to the scope's whole, places to segments.

    `common` is an evaluation's: it knows no tenants and no segments, and its whole stands for every
    tenant's.
    """

    bins: int
    cells: Mapping[Scope, Mapping[Place | None, Counts]]
    common: bool = False

    def whole(self, scope: Scope) -> Counts:
        """Return all photos of a scope."""
        own = self.cells.get(None if self.common else scope, {})
        return own.get(None) or Counts.empty(self.bins)

    def segments(self, scope: Scope, dimension: Dimension) -> dict[str, Counts]:
        """Return the scope's photos by value of `dimension`."""
        return {
            place[1]: counts
            for place, counts in self.cells.get(scope, {}).items()
            if place is not None and place[0] == dimension
        }

    def tenants(self) -> Iterator[UUID]:
        """Yield the tenants that have photos."""
        yield from (scope for scope in self.cells if scope is not None)


def build_cube(rows: Iterable[CountRow], bins: int) -> Cube:
    """Return the cube of `rows`, with all tenants together and each tenant as a segment of it."""
    grouped: dict[UUID, dict[Place | None, list[CountRow]]] = {}
    for row in rows:
        place = (row.dimension, row.value) if row.dimension else None
        grouped.setdefault(row.tenant_id, {}).setdefault(place, []).append(row)
    own = {
        tenant: {place: _summed(found, bins) for place, found in cells.items()}
        for tenant, cells in grouped.items()
    }
    scopes: dict[Scope, Mapping[Place | None, Counts]] = {None: together(own, bins)}
    scopes.update(own.items())
    return Cube(bins, scopes)


def together(
    tenants: Mapping[UUID, Mapping[Place | None, Counts]], bins: int
) -> dict[Place | None, Counts]:
    """Return the sums over tenants, and the tenants as a dimension of their own."""
    total: dict[Place | None, Counts] = {None: Counts.empty(bins)}
    for tenant, cells in tenants.items():
        for place, counts in cells.items():
            total[place] = total[place] + counts if place in total else counts
        if None in cells:
            total[Dimension.TENANT, str(tenant)] = cells[None]
    return total


def _summed(rows: Sequence[CountRow], bins: int) -> Counts:
    """Return the sum of one segment's rows."""
    at = np.array([row.bin for row in rows])
    label = np.array([_LABEL_ROW[row.label] for row in rows])
    photos = np.array([row.photos for row in rows], np.float64)
    p = np.array([row.p for row in rows], np.float64)
    labels = len(LABELS) + 1
    return Counts(
        bins=sums_at(at, photos, bins),
        logits=sums_at(at, [row.logit for row in rows], bins),
        labels=sums_at(label, photos, labels),
        label_p=sums_at(label, p, labels),
        sums=np.array([(row.p, row.p2, row.c, row.c2) for row in rows], np.float64).sum(axis=0),
        independent=float(sum(row.independent for row in rows)),
        reused=float(sum(row.reused for row in rows)),
    )


def sums_at(places: NDArray[np.int64], values: ArrayLike, size: int) -> FloatArray:
    """Return the sums of `values` by place, float64 `[size]`."""
    sums: FloatArray = np.bincount(places, values, size).astype(np.float64)
    return sums
