"""Made-up photos as what the drift service reads from the database: counts, samples, rows."""

from collections.abc import Sequence
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from services.drift.analysis.counts import LABELS, Counts, Cube, Place, together
from services.drift.analysis.embeddings import Embeddings, by_scope
from services.drift.analysis.window import Window
from services.drift.reference.frozen import BINS, EMBEDDINGS, Reference
from services.drift.statistics.outcome import FloatArray
from services.drift.study.traffic import (
    CATEGORIES,
    FORMATS,
    QUALITIES,
    SIDES,
    Marketplace,
    Photos,
    moment,
)
from shared.contracts.drift import Dimension, ReferenceFacts, ReferenceSource
from shared.db.drift.counts import Binning, Calibration, Span
from shared.db.drift.synthetic import SyntheticPhoto

_BANDS = ("50-69", "50-69", "70-79", "80-89", "90-100")
_SIZES = ("under 0.25 MP", "0.25-1 MP", "1-4 MP", "4-16 MP")
_VALUES = {
    Dimension.FORMAT: FORMATS,
    Dimension.ENCODER_QUALITY: _BANDS,
    Dimension.SIZE: _SIZES,
    Dimension.CATEGORY: CATEGORIES,
}
_NIL = UUID(int=0)


def make_reference(market: Marketplace, photos: Photos, rng: np.random.Generator) -> Reference:
    """Return the reference that these photos make."""
    at = np.arange(1, BINS) / BINS
    edges = np.unique(np.quantile(photos.logits, at, method="inverted_cdf"))
    scores = market.scores
    binning = Binning(
        edges.tolist(), Calibration(scores.temperature, scores.bias), list(CATEGORIES)
    )
    cube = make_cube(market, photos, edges)
    facts = ReferenceFacts(
        id=_NIL,
        source=ReferenceSource.PRODUCTION,
        start=moment(np.floor(photos.hours[0])),
        end=moment(np.ceil(photos.hours[-1])),
        photos=len(photos),
        independent=round(cube.whole(None).independent),
    )
    return Reference(facts, binning, cube, by_scope(make_sample(market, photos, EMBEDDINGS, rng)))


def make_window(
    market: Marketplace,
    photos: Photos,
    reference: Reference,
    sampled: int,
    rng: np.random.Generator,
) -> Window:
    """Return these photos as a window to compare with `reference`."""
    cube = make_cube(market, photos, np.array(reference.binning.edges))
    span = Span(
        market.scores.model_version,
        moment(np.floor(photos.hours[0])),
        moment(np.floor(photos.hours[-1]) + 1),
    )
    # The service samples each tenant on its own; a window this size holds no more than its limit.
    vectors = by_scope(make_sample(market, photos, sampled, rng) if sampled else None)
    return Window(span, cube, vectors)


def make_cube(market: Marketplace, photos: Photos, edges: FloatArray) -> Cube:
    """Return the counts of these photos, as the database counts them."""
    bins = len(edges) + 1
    placed = np.searchsorted(edges, photos.logits, side="right")
    own: dict[UUID, dict[Place | None, Counts]] = {}
    for index, tenant in enumerate(market.tenants):
        mine = photos.tenants == index
        if not mine.any():
            continue
        cells: dict[Place | None, Counts] = {None: _count(photos, placed, mine, bins)}
        for dimension, names in _named(photos).items():
            for name in np.unique(names[mine]):
                cells[dimension, str(name)] = _count(photos, placed, mine & (names == name), bins)
        own[tenant.id] = cells
    return Cube(bins, {None: together(own, bins), **{tenant: own[tenant] for tenant in own}})


def make_sample(
    market: Marketplace, photos: Photos, limit: int, rng: np.random.Generator
) -> Embeddings:
    """Return up to `limit` photos, one of each listing, as the database samples them."""
    firsts = rng.permutation(np.flatnonzero(photos.positions == 0))[:limit]
    named = _named(photos)
    ids = [tenant.id for tenant in market.tenants]
    tenants = [ids[index] for index in photos.tenants[firsts]]
    columns = [names[firsts].tolist() for names in named.values()]
    dimensions = (*named, Dimension.TENANT)
    rows = zip(*columns, [str(tenant) for tenant in tenants], strict=True)
    return Embeddings(
        photos.embeddings[firsts],
        # Nobody looks a made-up photo up.
        [_NIL] * firsts.size,
        tenants,
        [dict(zip(dimensions, row, strict=True)) for row in rows],
        [LABELS[label].value for label in photos.labels[firsts]],
        photos.probabilities[firsts],
    )


def as_rows(photos: Photos) -> Sequence[SyntheticPhoto]:
    """Return the photos as rows for the database."""
    return [
        SyntheticPhoto(
            at=moment(photos.hours[row]),
            job=int(photos.jobs[row]),
            label=LABELS[photos.labels[row]].value,
            probability=float(photos.probabilities[row]),
            logit=float(photos.logits[row]),
            category=CATEGORIES[photos.categories[row]],
            format=FORMATS[photos.formats[row]],
            encoder_quality=QUALITIES[photos.qualities[row]],
            side=SIDES[photos.sides[row]],
            embedding=photos.embeddings[row].tolist(),
        )
        for row in range(len(photos))
    ]


def _named(photos: Photos) -> dict[Dimension, NDArray[np.str_]]:
    indices = (photos.formats, photos.qualities, photos.sides, photos.categories)
    return {
        dimension: np.array(names)[index]
        for (dimension, names), index in zip(_VALUES.items(), indices, strict=True)
    }


def _count(photos: Photos, placed: NDArray[np.int64], mine: NDArray[np.bool_], bins: int) -> Counts:
    p, labels = photos.probabilities[mine], photos.labels[mine]
    confidence = np.maximum(p, 1 - p)
    rows = len(LABELS) + 1
    return Counts(
        bins=np.bincount(placed[mine], minlength=bins).astype(np.float64),
        logits=_sums(placed[mine], photos.logits[mine], bins),
        labels=np.bincount(labels, minlength=rows).astype(np.float64),
        label_p=_sums(labels, p, rows),
        sums=np.array([p.sum(), (p**2).sum(), confidence.sum(), (confidence**2).sum()]),
        independent=float((photos.positions[mine] == 0).sum()),
        reused=0.0,
    )


def _sums(places: NDArray[np.int64], values: FloatArray, size: int) -> FloatArray:
    sums: FloatArray = np.bincount(places, values, minlength=size).astype(np.float64)
    return sums
