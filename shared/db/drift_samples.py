"""Bounded samples of verdicts: embeddings with their segments, and photos to show."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

from shared.contracts.drift import Dimension
from shared.db.drift_counts import INDEPENDENT, PROBABILITY, Binning, Span
from shared.db.drift_segments import EXPRESSIONS, IS_TRAFFIC

_COLUMNS = ", ".join(f"{sql} AS {dimension}" for dimension, sql in EXPRESSIONS.items())
_FROM = f"""
FROM verdicts v JOIN images i ON i.id = v.image_id JOIN jobs j ON j.id = i.job_id
WHERE v.model_version = :model_version AND v.created_at >= :start AND v.created_at < :end
AND {IS_TRAFFIC} AND v.reused_from IS NULL
AND (CAST(:tenant AS uuid) IS NULL OR i.tenant_id = :tenant)
"""

# By a hash of the id: as good as chance, and the same photos each time.
_SAMPLE = text(f"""
SELECT v.image_id, i.tenant_id, {_COLUMNS}, v.label, {PROBABILITY} AS probability, v.embedding
{_FROM} AND v.embedding IS NOT NULL AND {INDEPENDENT}
ORDER BY uuid_hash(v.image_id), v.image_id LIMIT :limit
""")

_EXAMPLES = text(f"""
SELECT v.image_id FROM (SELECT v.image_id, i.tenant_id, {_COLUMNS}, v.logit {_FROM}) AS v
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
) -> list[UUID]:
    """Return photos of one segment (of all without `place`) whose logit is nearest to `near`."""
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
            "limit": limit,
        },
    )
    return [row.image_id for row in rows]
