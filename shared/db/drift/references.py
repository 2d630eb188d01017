"""Frozen references: written once, never changed; one of a model version counts."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, and_, case, select, text
from sqlalchemy.orm import Session

from shared.contracts.drift import ReferenceChoice, ReferenceSource
from shared.db.models import DriftReference, DriftReferenceRequest

# A skip scan over the index: of each version one look, however many verdicts there are.
_VERSIONS = text("""
WITH RECURSIVE versions AS (
    (SELECT model_version FROM verdicts ORDER BY model_version LIMIT 1)
    UNION ALL
    SELECT (SELECT v.model_version FROM verdicts v
        WHERE v.model_version > versions.model_version ORDER BY v.model_version LIMIT 1)
    FROM versions WHERE versions.model_version IS NOT NULL)
SELECT x.model_version,
    (SELECT min(created_at) FROM verdicts v WHERE v.model_version = x.model_version) AS first,
    (SELECT max(created_at) FROM verdicts v WHERE v.model_version = x.model_version) AS last
FROM versions x WHERE x.model_version IS NOT NULL
""")


@dataclass(frozen=True, slots=True)
class Judged:
    """When a model version's oldest and newest stored verdicts were made."""

    first: datetime
    last: datetime


@dataclass(frozen=True, slots=True)
class NewReference:
    """A reference to store; see `DriftReference`."""

    model_version: str
    source: ReferenceSource
    window_start: datetime | None
    window_end: datetime | None
    photos: int
    payload: dict[str, Any]
    embeddings: bytes | None
    # The operator's request that it was made for.
    request_id: UUID | None = None


def judged_versions(session: Session) -> dict[str, Judged]:
    """Return the model versions that have verdicts."""
    return {row.model_version: Judged(row.first, row.last) for row in session.execute(_VERSIONS)}


def store_reference(session: Session, new: NewReference) -> DriftReference:
    """Store a reference; from now on windows of its version are compared with it."""
    row = DriftReference(
        model_version=new.model_version,
        source=new.source.value,
        window_start=new.window_start,
        window_end=new.window_end,
        photos=new.photos,
        payload=new.payload,
        embeddings=new.embeddings,
        request_id=new.request_id,
    )
    session.add(row)
    session.flush()
    return row


def in_use(model_version: str) -> tuple[ColumnElement[bool], ColumnElement[Any]]:
    """Return the condition and the order under which the first reference is the one that counts.

    It is that of the operator's newest request that was carried out; where there is none, or it
    asks for the automatic one, the newest that the service made by itself.
    """
    request = (
        select(
            case(
                (DriftReferenceRequest.choice == ReferenceChoice.AUTOMATIC.value, None),
                else_=DriftReferenceRequest.id,
            )
        )
        .where(
            DriftReferenceRequest.model_version == model_version,
            DriftReferenceRequest.finished_at.is_not(None),
            DriftReferenceRequest.error.is_(None),
        )
        .order_by(DriftReferenceRequest.created_at.desc())
        .limit(1)
        .scalar_subquery()
    )
    condition = and_(
        DriftReference.model_version == model_version,
        DriftReference.request_id.is_not_distinct_from(request),
    )
    return condition, DriftReference.created_at.desc()


def current_reference(session: Session, model_version: str) -> DriftReference | None:
    """Return the reference that counts for a model version."""
    condition, order = in_use(model_version)
    return session.execute(
        select(DriftReference).where(condition).order_by(order).limit(1)
    ).scalar_one_or_none()


def current_reference_id(session: Session, model_version: str) -> UUID | None:
    """Return its id alone: the row itself is large."""
    condition, order = in_use(model_version)
    return session.execute(
        select(DriftReference.id).where(condition).order_by(order).limit(1)
    ).scalar_one_or_none()


def current_reference_photos(session: Session, model_version: str) -> tuple[int, datetime | None]:
    """Return its photos and its window's end; 0 and None without, and None of an evaluation."""
    condition, order = in_use(model_version)
    row = session.execute(
        select(DriftReference.photos, DriftReference.window_end)
        .where(condition)
        .order_by(order)
        .limit(1)
    ).one_or_none()
    return (row.photos, row.window_end) if row else (0, None)
