"""Rehearsed drift: real photos' verdicts to copy, and the removal of all that was rehearsed."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

from shared.contracts.drift import SIMULATION

_JUDGED = text("""
SELECT v.label, v.probability, v.logit, v.embedding, i.content_type, i.encoder_quality, i.width,
    i.height, i.size, i.object_key, i.sha256, i.filename, j.category
FROM verdicts v JOIN images i ON i.id = v.image_id JOIN jobs j ON j.id = i.job_id
WHERE j.id = :job AND i.status = 'succeeded' ORDER BY i.position
""")

_POINT = text("""
UPDATE images SET object_key = n.key, sha256 = n.sha256, size = n.size, filename = n.filename
FROM unnest(CAST(:ids AS uuid[]), CAST(:keys AS text[]), CAST(:hashes AS text[]),
    CAST(:sizes AS bigint[]), CAST(:names AS text[])) AS n(id, key, sha256, size, filename)
WHERE images.id = n.id
""")

_REMOVE = (
    "DELETE FROM drift_states WHERE model_version LIKE :versions",
    # Their reports go with them.
    "DELETE FROM drift_runs WHERE model_version LIKE :versions",
    "DELETE FROM drift_references WHERE model_version LIKE :versions",
    "DELETE FROM drift_reference_requests WHERE model_version LIKE :versions",
    # Its keys, jobs, photos and verdicts go with it.
    "DELETE FROM tenants WHERE name = :tenant",
)


@dataclass(frozen=True, slots=True)
class JudgedPhoto:
    """A photo of the simulation's tenant as a worker judged it."""

    label: str
    probability: float
    logit: float
    embedding: Sequence[float] | None
    content_type: str
    encoder_quality: int | None
    width: int
    height: int
    size: int
    object_key: str
    sha256: str
    filename: str
    category: str | None


def take_judged(session: Session, job_id: UUID) -> list[JudgedPhoto]:
    """Return the job's judged photos and delete the job: their verdicts bear a real model's name.

    Until then no check of that model counts them (`IS_TRAFFIC`).
    """
    photos = [JudgedPhoto(*row) for row in session.execute(_JUDGED, {"job": job_id})]
    session.execute(text("DELETE FROM jobs WHERE id = :job"), {"job": job_id})
    return photos


def point_to(session: Session, ids: Sequence[UUID], photos: Sequence[JudgedPhoto]) -> None:
    """Let made-up images lead to the bytes of the photos that they copy."""
    session.execute(
        _POINT,
        {
            "ids": list(ids),
            "keys": [photo.object_key for photo in photos],
            "hashes": [photo.sha256 for photo in photos],
            "sizes": [photo.size for photo in photos],
            "names": [photo.filename for photo in photos],
        },
    )


def remove_simulations(session: Session) -> None:
    """Delete the simulation's tenant and every check of simulated model versions.

    The photos' bytes stay in the object store.
    """
    values = {"versions": f"{SIMULATION}-%", "tenant": SIMULATION}
    for statement in _REMOVE:
        session.execute(text(statement), values)
