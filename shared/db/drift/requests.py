"""What operators want model versions compared with: asked for here, done by the drift service."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import func, select, update
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.orm import Session, defer

from shared.contracts.drift import ReferenceChoice
from shared.db.drift.references import current_reference_id
from shared.db.models import DriftReference, DriftReferenceRequest


@dataclass(frozen=True, slots=True)
class NewRequest:
    """A request to store; see `DriftReferenceRequest`."""

    model_version: str
    choice: ReferenceChoice
    window_start: datetime | None = None
    window_end: datetime | None = None
    ai_share: float | None = None
    manifest: dict[str, Any] | None = None
    evaluation: bytes | None = None


@dataclass(frozen=True, slots=True)
class ListedReference:
    """A reference without its contents. `chosen`: an operator did; `in_use`: windows meet it."""

    id: UUID
    model_version: str
    source: str
    window_start: datetime | None
    window_end: datetime | None
    photos: int
    created_at: datetime
    chosen: bool
    in_use: bool


def add_request(session: Session, new: NewRequest) -> UUID:
    """Store a request and return its id; the service carries it out at its next look."""
    row = DriftReferenceRequest(
        model_version=new.model_version,
        choice=new.choice.value,
        window_start=new.window_start,
        window_end=new.window_end,
        ai_share=new.ai_share,
        manifest=new.manifest,
        evaluation=new.evaluation,
    )
    session.add(row)
    session.flush()
    return row.id


def get_request(session: Session, request_id: UUID) -> DriftReferenceRequest | None:
    """Return a request, without the photos that it brought."""
    return session.get(
        DriftReferenceRequest,
        request_id,
        options=[defer(DriftReferenceRequest.evaluation, raiseload=True)],
    )


def pending_requests(session: Session) -> Sequence[DriftReferenceRequest]:
    """Return the requests that nobody has carried out, the oldest first."""
    return (
        session.execute(
            select(DriftReferenceRequest)
            .where(DriftReferenceRequest.finished_at.is_(None))
            .order_by(DriftReferenceRequest.created_at)
        )
        .scalars()
        .all()
    )


def finish_request(session: Session, request_id: UUID, error: str | None) -> bool:
    """Note that a request was carried out, or why not; False when it was finished before.

    The photos that it brought are dropped: the reference holds what is needed of them.
    """
    finished = session.execute(
        update(DriftReferenceRequest)
        .where(DriftReferenceRequest.id == request_id, DriftReferenceRequest.finished_at.is_(None))
        .values(finished_at=func.clock_timestamp(), error=error, evaluation=None)
        .returning(DriftReferenceRequest.id)
    )
    return finished.first() is not None


def unfinished_or_failed(session: Session) -> Sequence[DriftReferenceRequest]:
    """Return the newest request of each version where it waits or could not be carried out."""
    newest = (
        session.execute(
            select(DriftReferenceRequest)
            .options(defer(DriftReferenceRequest.evaluation, raiseload=True))
            .ext(distinct_on(DriftReferenceRequest.model_version))
            .order_by(DriftReferenceRequest.model_version, DriftReferenceRequest.created_at.desc())
        )
        .scalars()
        .all()
    )
    return [row for row in newest if row.finished_at is None or row.error is not None]


def list_references(session: Session) -> list[ListedReference]:
    """Return every reference, by version, the newest first."""
    rows = session.execute(
        select(
            DriftReference.id,
            DriftReference.model_version,
            DriftReference.source,
            DriftReference.window_start,
            DriftReference.window_end,
            DriftReference.photos,
            DriftReference.created_at,
            DriftReference.request_id.is_not(None).label("chosen"),
        ).order_by(DriftReference.model_version, DriftReference.created_at.desc())
    ).all()
    used = {current_reference_id(session, version) for version in {row[1] for row in rows}}
    return [ListedReference(*row, in_use=row.id in used) for row in rows]
