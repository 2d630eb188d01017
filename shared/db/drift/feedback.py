"""Reviewers' labels against what a model version said."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

from shared.db.drift.counts import Span

# The newest label of a photo counts. An uncertain verdict is neither right nor wrong.
_COUNT = text("""
WITH newest AS (
    SELECT DISTINCT ON (image_id) image_id, label FROM feedback
    WHERE created_at >= :start AND created_at < :end
    AND (CAST(:tenant AS uuid) IS NULL OR tenant_id = :tenant)
    ORDER BY image_id, created_at DESC, id DESC)
SELECT count(*) AS photos,
    count(*) FILTER (WHERE v.label = newest.label) AS right,
    count(*) FILTER (WHERE v.label = 'ai_generated' AND newest.label = 'real') AS accused,
    count(*) FILTER (WHERE v.label = 'real' AND newest.label = 'ai_generated') AS missed
FROM newest JOIN verdicts v ON v.image_id = newest.image_id AND v.model_version = :model_version
WHERE v.label <> 'uncertain'
""")


@dataclass(frozen=True, slots=True)
class FeedbackCounts:
    """Photos that were decided and reviewed since `since`."""

    photos: int
    right: int
    false_accusations: int
    missed: int
    since: datetime


def count_feedback(session: Session, span: Span, tenant_id: UUID | None = None) -> FeedbackCounts:
    """Return how the labels given within `span` agree with its model version's verdicts."""
    row = session.execute(_COUNT, {**span.parameters(), "tenant": tenant_id}).one()
    return FeedbackCounts(row.photos, row.right, row.accused, row.missed, span.start)
