"""Bounded samples of verdicts: embeddings with their segments, and photos to show."""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from shared.contracts.drift import Dimension
from shared.db.drift.counts import INDEPENDENT, PROBABILITY, Binning, Span
from shared.db.drift.segments import EXPRESSIONS, IS_TRAFFIC

_COLUMNS = ", ".join(f"{sql} AS {dimension}" for dimension, sql in EXPRESSIONS.items())
_WINDOW = f"""
v.model_version = :model_version AND v.created_at >= :start AND v.created_at < :end
AND {IS_TRAFFIC} AND v.reused_from IS NULL
"""
_FROM = f"""
FROM verdicts v JOIN images i ON i.id = v.image_id JOIN jobs j ON j.id = i.job_id
WHERE {_WINDOW} AND (CAST(:tenant AS uuid) IS NULL OR i.tenant_id = :tenant)
"""

# By a hash of the id: as good as chance, and the same photos each time.
_HASH = "uuid_hash(v.image_id)"
_SELECTED = f"v.image_id, i.tenant_id, {_COLUMNS}, v.label, {PROBABILITY} AS probability"
_SAMPLE = text(f"""
SELECT {_SELECTED}, v.embedding
{_FROM} AND v.embedding IS NOT NULL AND {INDEPENDENT}
ORDER BY {_HASH}, v.image_id LIMIT :limit
""")

# Hashes below a tenant's bound are little more than its sample: nothing large is sorted, and where
# every tenant has many photos, most are passed over before anything is looked up of them.
_SAMPLES = text(f"""
SELECT {_SELECTED}, v.embedding
FROM verdicts v JOIN images i ON i.id = v.image_id JOIN jobs j ON j.id = i.job_id
JOIN unnest(CAST(:tenants AS uuid[]), CAST(:bounds AS bigint[])) AS wanted(tenant_id, bound)
    ON wanted.tenant_id = i.tenant_id AND {_HASH} < wanted.bound
WHERE {_WINDOW} AND {_HASH} < :highest
AND v.embedding IS NOT NULL AND {INDEPENDENT}
ORDER BY {_HASH}, v.image_id
""")  # noqa: S608  # of constants only
# Hashes are signed and of 32 bits.
_LOWEST, _HASHES = -(2**31), 2**32
# Enough to find some that show a segment; each tenant's report asks for its own.
_EXAMINED = 50_000

_EXAMPLES = text(f"""
SELECT v.image_id FROM (SELECT v.image_id, i.tenant_id, {_COLUMNS}, v.logit {_FROM}
    AND {_HASH} < :bound) AS v
WHERE CASE :dimension {" ".join(f"WHEN '{name}' THEN v.{name}" for name in EXPRESSIONS)}
    WHEN 'tenant' THEN CAST(v.tenant_id AS text) ELSE :value END = :value
ORDER BY abs(v.logit - :near), v.image_id LIMIT :limit
""")  # noqa: S608  # of constants only


@dataclass(frozen=True, slots=True)
class SampledPhoto:
    """One photo of a sample; `embedding` has the model's own number of dimensions."""

    image_id: UUID
    tenant_id: UUID
    segments: dict[Dimension, str]
    label: str
    probability: float
    embedding: list[float]


def sample_embeddings(
    session: Session, span: Span, binning: Binning, limit: int, tenant_id: UUID | None = None
) -> list[SampledPhoto]:
    """Return up to `limit` photos that have an embedding, one of each job."""
    rows = session.execute(
        _SAMPLE,
        {
            **span.parameters(),
            "categories": list(binning.categories),
            "temperature": binning.calibration.temperature,
            "bias": binning.calibration.bias,
            "tenant": tenant_id,
            "limit": limit,
        },
    )
    return _photos(rows)


def sample_tenants(
    session: Session, span: Span, binning: Binning, limit: int, independent: Mapping[UUID, int]
) -> list[SampledPhoto]:
    """Return up to `limit` photos of each tenant in one pass, one of each job.

    `independent` is how many of them each tenant has. The photos are in an order of chance: the
    first `limit` are a sample of all tenants together. A tenant of whose photos only a part have
    embeddings gets as small a part of its sample.
    """
    bounds = [_bound(limit, photos) for photos in independent.values()]
    rows = session.execute(
        _SAMPLES,
        {
            **span.parameters(),
            "categories": list(binning.categories),
            "temperature": binning.calibration.temperature,
            "bias": binning.calibration.bias,
            "tenants": list(independent),
            "bounds": bounds,
            "highest": max(bounds, default=_LOWEST),
        },
    )
    taken: Counter[UUID] = Counter()
    photos = []
    for photo in _photos(rows):
        taken[photo.tenant_id] += 1
        if taken[photo.tenant_id] <= limit:
            photos.append(photo)
    return photos


def _bound(limit: int, photos: int) -> int:
    """Return the hash below which `limit` of so many photos lie, and by chance hardly fewer."""
    wanted = limit + 5 * math.sqrt(limit)
    return _LOWEST + math.ceil(_HASHES * min(1.0, wanted / max(1, photos)))


def _photos(rows: Iterable[Row[Any]]) -> list[SampledPhoto]:
    return [
        SampledPhoto(
            row.image_id,
            row.tenant_id,
            {
                **{name: getattr(row, name) for name in EXPRESSIONS},
                Dimension.TENANT: str(row.tenant_id),
            },
            row.label,
            row.probability,
            row.embedding,
        )
        for row in rows
    ]


def find_examples(
    session: Session,
    span: Span,
    categories: Sequence[str],
    place: tuple[Dimension, str] | None,
    near: float,
    limit: int,
    tenant_id: UUID | None = None,
    photos: int = 0,
) -> list[UUID]:
    """Return photos of one segment (of all without `place`) whose logit is nearest to `near`.

    `photos` is how many there are to choose from; of very many a part by chance is looked at.
    """
    dimension, value = place or ("", "")
    rows = session.execute(
        _EXAMPLES,
        {
            **span.parameters(),
            "categories": list(categories),
            "tenant": tenant_id,
            "dimension": dimension,
            "value": value,
            "near": near,
            "bound": _bound(_EXAMINED, photos),
            "limit": limit,
        },
    )
    return [row.image_id for row in rows]
