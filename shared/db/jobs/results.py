"""Settling images and finishing jobs: the only code that writes terminal states (G2)."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from shared.contracts.errors import IMAGE_ERROR_HELP, ImageErrorCode
from shared.contracts.events import EventType
from shared.contracts.states import JobKind, JobStatus, Label
from shared.contracts.tasks import CHANNEL_JOB_FINISHED
from shared.core.texts import storable, storable_json
from shared.db.models import Verdict
from shared.db.webhooks.events import NewEvent, emit_many


@dataclass(frozen=True, slots=True)
class Judged:
    """An image that the model judged."""

    image_id: UUID
    model_version: str
    label: Label
    probability: float
    confidence: float
    logit: float
    evidence: list[dict[str, Any]] = field(default_factory=list)
    # What decided beside the pixels: thresholds, budget, preprocess, digest of the package.
    judged_with: dict[str, Any] = field(default_factory=dict)
    # The image of the same bytes whose verdict this repeats.
    reused_from: UUID | None = None
    # The photo's place among others, by the model; see `shared.ml.spec.EmbeddingSpec`.
    embedding: tuple[float, ...] | None = None
    # Of the file; see `shared.ml.formats.encoder_quality`.
    encoder_quality: int | None = None


@dataclass(frozen=True, slots=True)
class Failed:
    """An image that can never be judged."""

    image_id: UUID
    code: ImageErrorCode
    detail: str


# Jobs are always locked before images, in id order: two chunks that finish the same job wait for
# each other here, so the second sees the first's images as settled and the job cannot stay open.
_LOCK_JOBS = text("""
SELECT id FROM jobs WHERE id IN (SELECT job_id FROM images WHERE id = ANY(:ids))
ORDER BY id FOR UPDATE
""")

_SETTLE = text("""
UPDATE images SET status = v.status, error_code = v.code, error_detail = v.detail,
    encoder_quality = v.quality,
    finished_at = clock_timestamp(), lease_id = NULL, lease_expires_at = NULL
FROM unnest(CAST(:ids AS uuid[]), CAST(:statuses AS text[]), CAST(:codes AS text[]),
    CAST(:details AS text[]), CAST(:qualities AS smallint[]))
    AS v(id, status, code, detail, quality)
WHERE images.id = v.id AND images.status = 'running' AND images.lease_id = :lease_id
RETURNING images.id, images.job_id
""")

_EXHAUST = text("""
UPDATE images SET status = 'failed', error_code = :code, error_detail = :detail,
    finished_at = clock_timestamp(), lease_id = NULL, lease_expires_at = NULL
WHERE id = ANY(:ids) AND status = 'running' AND lease_expires_at < clock_timestamp()
RETURNING id, job_id
""")

_LOCK_THESE = text("SELECT id FROM jobs WHERE id = ANY(:job_ids) ORDER BY id FOR UPDATE")

# What a worker holds is not touched: it ends with a verdict or an error.
_CANCEL = text("""
UPDATE images SET status = 'cancelled', finished_at = clock_timestamp()
WHERE job_id = ANY(:job_ids) AND status = 'queued' RETURNING id, job_id
""")

_FINISH = text("""
WITH counted AS (
    SELECT job_id, count(*) AS total,
        count(*) FILTER (WHERE status = 'succeeded') AS succeeded,
        count(*) FILTER (WHERE status = 'cancelled') AS cancelled,
        count(*) FILTER (WHERE status IN ('queued', 'running')) AS open
    FROM images WHERE job_id = ANY(:job_ids) GROUP BY job_id),
before AS (SELECT id, status FROM jobs WHERE id = ANY(:job_ids)),
finished AS (
    UPDATE jobs SET finished_at = clock_timestamp(), status = CASE
        WHEN succeeded = total THEN 'succeeded' WHEN succeeded > 0 THEN 'partial'
        WHEN cancelled > 0 THEN 'cancelled' ELSE 'failed' END
    FROM counted
    WHERE jobs.id = counted.job_id AND open = 0 AND jobs.status IN ('queued', 'running')
    RETURNING jobs.id, jobs.status, jobs.tenant_id, jobs.kind, jobs.webhook_url),
noted AS (
    INSERT INTO job_events (job_id, from_status, to_status)
    SELECT finished.id, before.status, finished.status FROM finished JOIN before USING (id))
SELECT id, status, tenant_id, kind, webhook_url, pg_notify(:channel, id::text) FROM finished
""")


def settle(
    session: Session, lease_id: UUID, outcomes: Sequence[Judged | Failed]
) -> tuple[list[UUID], list[UUID]]:
    """Write the outcomes of images still held under `lease_id`, in a few multi-row statements.

    Returns (ids of the images settled, ids of the jobs that this finished). An image whose lease
    was lost meanwhile is left to its new holder, so each image is settled exactly once.
    """
    if not outcomes:
        return [], []
    ids = [outcome.image_id for outcome in outcomes]
    session.execute(_LOCK_JOBS, {"ids": ids})
    failures = {o.image_id: o for o in outcomes if isinstance(o, Failed)}
    rows = session.execute(
        _SETTLE,
        {
            "ids": ids,
            "statuses": ["failed" if i in failures else "succeeded" for i in ids],
            "codes": [failures[i].code.value if i in failures else None for i in ids],
            "details": [storable(failures[i].detail) if i in failures else None for i in ids],
            "qualities": [o.encoder_quality if isinstance(o, Judged) else None for o in outcomes],
            "lease_id": lease_id,
        },
    )
    job_of = {row.id: row.job_id for row in rows}
    _insert_verdicts(
        session, [o for o in outcomes if isinstance(o, Judged) and o.image_id in job_of]
    )
    return list(job_of), finish_jobs(session, list(set(job_of.values())))


def exhaust(session: Session, image_ids: Sequence[UUID]) -> list[UUID]:
    """Fail images whose lease ran out too often; returns the ids of those failed."""
    session.execute(_LOCK_JOBS, {"ids": list(image_ids)})
    code = ImageErrorCode.ATTEMPTS_EXHAUSTED
    rows = session.execute(
        _EXHAUST,
        {"ids": list(image_ids), "code": code.value, "detail": IMAGE_ERROR_HELP[code]},
    )
    job_of = {row.id: row.job_id for row in rows}
    finish_jobs(session, list(set(job_of.values())))
    return list(job_of)


def cancel_jobs(session: Session, job_ids: Sequence[UUID]) -> list[UUID]:
    """Cancel those images of these jobs that wait; returns the ids of the images cancelled.

    A job ends now, or with the last of its images that a worker holds: `cancelled` when no photo
    of it was judged, else `partial`.
    """
    session.execute(_LOCK_THESE, {"job_ids": list(job_ids)})
    rows = session.execute(_CANCEL, {"job_ids": list(job_ids)}).all()
    finish_jobs(session, list({row.job_id for row in rows}))
    return [row.id for row in rows]


def finish_jobs(session: Session, job_ids: Sequence[UUID]) -> list[UUID]:
    """Make those of `job_ids` terminal that have no open image; returns them.

    The caller holds the locks of these jobs. Listeners on `job_finished` are told at commit, and
    so are webhooks of jobs that a client submitted.
    """
    if not job_ids:
        return []
    rows = session.execute(
        _FINISH, {"job_ids": list(job_ids), "channel": CHANNEL_JOB_FINISHED}
    ).all()
    emit_many(session, [_finished_event(row) for row in rows if row.kind == JobKind.JOB])
    return [row.id for row in rows]


def _finished_event(row: Row[Any]) -> NewEvent:
    failed = row.status == JobStatus.FAILED
    kind = EventType.JOB_FAILED if failed else EventType.JOB_COMPLETED
    return NewEvent(row.tenant_id, kind, {"job_id": str(row.id)}, row.webhook_url)


def _insert_verdicts(session: Session, judged: Sequence[Judged]) -> None:
    if not judged:
        return
    rows = [
        {
            "image_id": item.image_id,
            "model_version": item.model_version,
            "label": item.label.value,
            "probability": item.probability,
            "confidence": item.confidence,
            "logit": item.logit,
            "evidence": storable_json(item.evidence),
            "judged_with": item.judged_with,
            "reused_from": item.reused_from,
            "embedding": None if item.embedding is None else list(item.embedding),
        }
        for item in judged
    ]
    session.execute(insert(Verdict).values(rows).on_conflict_do_nothing())
