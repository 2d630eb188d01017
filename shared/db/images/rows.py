"""Single photos, always within one tenant."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from shared.db.images.feedback import newest_feedback
from shared.db.models import Feedback, Image, Job, Verdict


@dataclass(frozen=True, slots=True)
class ImageView:
    """A photo, its job, its verdicts (oldest first) and the review that counts."""

    image: Image
    job: Job
    verdicts: Sequence[Verdict]
    review: Feedback | None

    @property
    def verdict(self) -> Verdict | None:
        """The newest verdict."""
        return self.verdicts[-1] if self.verdicts else None


def get_image(session: Session, tenant_id: UUID, image_id: UUID) -> ImageView | None:
    """Return the tenant's image, or None when it has none of this id."""
    row = session.execute(
        select(Image, Job)
        .join(Job, Job.id == Image.job_id)
        .where(Image.id == image_id, Image.tenant_id == tenant_id)
    ).one_or_none()
    if row is None:
        return None
    verdicts = session.execute(
        select(Verdict).where(Verdict.image_id == image_id).order_by(Verdict.created_at)
    )
    review = newest_feedback(session, [image_id]).get(image_id)
    return ImageView(row[0], row[1], list(verdicts.scalars()), review)
