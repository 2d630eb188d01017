"""Made-up verdicts in bulk, without photos: for trying out drift, and for measuring it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

from shared.core.ids import new_id

# Set on every such job, so that people and sweeps can tell them from customers' photos.
MARK = '{"synthetic": true}'

_JOBS = text("""
INSERT INTO jobs (id, tenant_id, status, category, extra, request_id, created_at, started_at,
    finished_at)
SELECT id, :tenant, 'succeeded', category, CAST(:mark AS jsonb), 'synthetic', at, at, at
FROM unnest(CAST(:ids AS uuid[]), CAST(:categories AS text[]), CAST(:at AS timestamptz[]))
    AS new(id, category, at)
""")

_IMAGES = text("""
INSERT INTO images (id, job_id, tenant_id, position, filename, status, object_key, sha256,
    content_type, size, width, height, encoder_quality, created_at, finished_at)
SELECT id, job, :tenant, position, 'synthetic', 'succeeded', 'synthetic/' || id,
    encode(sha256(id::text::bytea), 'hex'), 'image/' || format, 100000, side, side, quality, at, at
FROM unnest(CAST(:ids AS uuid[]), CAST(:jobs AS uuid[]), CAST(:positions AS int[]),
    CAST(:formats AS text[]), CAST(:qualities AS smallint[]), CAST(:sides AS int[]),
    CAST(:at AS timestamptz[])) AS new(id, job, position, format, quality, side, at)
""")

_VERDICTS = text("""
INSERT INTO verdicts (image_id, model_version, label, probability, confidence, logit, embedding,
    created_at)
SELECT id, :model_version, label, p, greatest(p, 1 - p), logit,
    CASE WHEN vector IS NULL THEN NULL ELSE CAST(vector AS real[]) END, at
FROM unnest(CAST(:ids AS uuid[]), CAST(:labels AS text[]), CAST(:p AS float8[]),
    CAST(:logits AS float8[]), CAST(:vectors AS text[]), CAST(:at AS timestamptz[]))
    AS new(id, label, p, logit, vector, at)
""")


@dataclass(frozen=True, slots=True)
class SyntheticPhoto:
    """One made-up photo; `job` numbers the listing that it belongs to, within one call."""

    at: datetime
    job: int
    label: str
    probability: float
    logit: float
    category: str | None = None
    format: str = "jpeg"
    encoder_quality: int | None = None
    side: int = 1000
    embedding: Sequence[float] | None = None


def insert_synthetic(
    session: Session,
    tenant_id: UUID,
    model_version: str,
    photos: Sequence[SyntheticPhoto],
    make_id: Callable[[], UUID] = new_id,
) -> list[UUID]:
    """Store photos that look judged at their times, with a job for each number; returns ids.

    Samples are drawn by a hash of the ids, so `make_id` decides which photos a check looks at.
    """
    jobs: dict[int, UUID] = {}
    first: dict[int, SyntheticPhoto] = {}
    positions: list[int] = []
    seen: dict[int, int] = {}
    for photo in photos:
        if photo.job not in jobs:
            jobs[photo.job] = make_id()
        first.setdefault(photo.job, photo)
        positions.append(seen.get(photo.job, 0))
        seen[photo.job] = positions[-1] + 1
    ids = [make_id() for _ in photos]
    at = [photo.at for photo in photos]
    session.execute(
        _JOBS,
        {
            "tenant": tenant_id,
            "mark": MARK,
            "ids": list(jobs.values()),
            "categories": [photo.category for photo in first.values()],
            "at": [photo.at for photo in first.values()],
        },
    )
    session.execute(
        _IMAGES,
        {
            "tenant": tenant_id,
            "ids": ids,
            "jobs": [jobs[photo.job] for photo in photos],
            "positions": positions,
            "formats": [photo.format for photo in photos],
            "qualities": [photo.encoder_quality for photo in photos],
            "sides": [photo.side for photo in photos],
            "at": at,
        },
    )
    session.execute(
        _VERDICTS,
        {
            "model_version": model_version,
            "ids": ids,
            "labels": [photo.label for photo in photos],
            "p": [photo.probability for photo in photos],
            "logits": [photo.logit for photo in photos],
            "vectors": [_vector(photo.embedding) for photo in photos],
            "at": at,
        },
    )
    return ids


def _vector(embedding: Sequence[float] | None) -> str | None:
    # An array of arrays of unequal or null rows has no type of its own in PostgreSQL.
    return None if embedding is None else "{" + ",".join(f"{x:.6g}" for x in embedding) + "}"
