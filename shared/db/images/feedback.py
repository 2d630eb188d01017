"""Reviewers' labels: written with the event that tells of a changed verdict."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.orm import Session

from shared.contracts.events import EventType
from shared.contracts.states import TERMINAL_IMAGE, ImageStatus, Label
from shared.core.errors import DetectorError
from shared.core.texts import storable, storable_json
from shared.db.models import Feedback, Image, Job, Verdict
from shared.db.webhooks.events import emit


class ImageUnfinishedError(DetectorError):
    """The photo has no verdict yet: there is nothing to review."""


@dataclass(frozen=True, slots=True)
class NewFeedback:
    """What a person says of a photo; `label` is `real` or `ai_generated`."""

    label: Label
    reason: str
    reviewer: str


def add_feedback(
    session: Session, tenant_id: UUID, image_id: UUID, new: NewFeedback
) -> Feedback | None:
    """Store a reviewer's label, and emit `verdict.changed` when another label counted before.

    Returns None when the tenant has no such image. Raises ImageUnfinishedError before its end.
    """
    image = session.execute(
        # Locked: of two reviewers at the same time the second sees the first's label.
        select(Image).where(Image.id == image_id, Image.tenant_id == tenant_id).with_for_update()
    ).scalar_one_or_none()
    if image is None:
        return None
    if ImageStatus(image.status) not in TERMINAL_IMAGE:
        raise ImageUnfinishedError(f"image {image_id} is {image.status}")
    verdict = newest_verdict(session, image_id)
    earlier = newest_feedback(session, [image_id]).get(image_id)
    before = earlier.label if earlier else verdict.label if verdict else None
    feedback = Feedback(
        image_id=image_id,
        tenant_id=tenant_id,
        label=new.label.value,
        reason=storable_json(new.reason),
        reviewer=storable(new.reviewer),
        model_version=verdict.model_version if verdict else None,
        model_label=verdict.label if verdict else None,
        overturned=before is not None and before != new.label.value,
    )
    session.add(feedback)
    session.flush()
    if feedback.overturned:
        job = session.get_one(Job, image.job_id)
        subject = _subject(job, image, feedback, before)
        emit(session, tenant_id, EventType.VERDICT_CHANGED, subject, job.webhook_url)
    return feedback


def newest_feedback(session: Session, image_ids: Iterable[UUID]) -> Mapping[UUID, Feedback]:
    """Return the feedback that counts for each of the images that have any."""
    rows = session.execute(
        select(Feedback)
        .where(Feedback.image_id.in_(list(image_ids)))
        .ext(distinct_on(Feedback.image_id))
        .order_by(Feedback.image_id, Feedback.created_at.desc(), Feedback.id.desc())
    )
    return {feedback.image_id: feedback for feedback in rows.scalars()}


def list_feedback(session: Session, image_id: UUID, limit: int) -> list[Feedback]:
    """Return the image's newest `limit` reviews, the newest first."""
    rows = session.execute(
        select(Feedback)
        .where(Feedback.image_id == image_id)
        .order_by(Feedback.created_at.desc(), Feedback.id.desc())
        .limit(limit)
    )
    return list(rows.scalars())


def newest_verdict(session: Session, image_id: UUID) -> Verdict | None:
    """Return the verdict that counts for the image, if it has any."""
    return session.execute(
        select(Verdict)
        .where(Verdict.image_id == image_id)
        .order_by(Verdict.created_at.desc())
        .limit(1)
    ).scalar_one_or_none()


def _subject(job: Job, image: Image, feedback: Feedback, before: str | None) -> dict[str, Any]:
    """Return the event's `data`: whole, since a later review would change what is read later."""
    return {
        "image_id": str(image.id),
        "job_id": str(job.id),
        "listing_id": job.listing_id,
        "filename": image.filename,
        "sha256": image.sha256,
        "label": feedback.label,
        "previous_label": before,
        "review": {
            "id": str(feedback.id),
            "reason": feedback.reason,
            "reviewer": feedback.reviewer,
            "model_version": feedback.model_version,
            "model_label": feedback.model_label,
        },
        "links": {"image": f"/images/{image.id}", "job": f"/jobs/{job.id}"},
    }
