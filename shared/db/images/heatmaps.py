"""Heatmaps: asked for by a client, made by a worker, kept in the object store.

Nothing guards the work itself: making one twice gives the same picture. A request whose message
was lost is repeated by whoever still asks.
"""

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import func, select, text, update
from sqlalchemy.orm import Session

from shared.contracts.states import HeatmapStatus
from shared.contracts.tasks import CHANNEL_JOB_FINISHED, TOPIC_EXPLAIN_IMAGE
from shared.core.texts import storable
from shared.db.models import Heatmap, Image, OutboxMessage

# A worker is asked again when it has been silent, or failed, for this long.
ASK_AGAIN_SECONDS = 10.0

_ASK = text("""
INSERT INTO heatmaps (image_id, model_version, status) VALUES (:image_id, :version, 'queued')
ON CONFLICT (image_id, model_version) DO UPDATE
SET status = 'queued', error_detail = NULL, finished_at = NULL, requested_at = now()
WHERE heatmaps.status <> 'succeeded'
    AND coalesce(heatmaps.finished_at, heatmaps.requested_at)
        < now() - make_interval(secs => :again)
RETURNING image_id
""")


@dataclass(frozen=True, slots=True)
class Drawn:
    """A heatmap in the object store."""

    object_key: str
    sha256: str
    size: int


def ask(session: Session, image_id: UUID, version: str) -> tuple[Heatmap, bool]:
    """Return the heatmap's row and whether a worker is asked for it by this transaction."""
    row = session.execute(
        _ASK, {"image_id": image_id, "version": version, "again": ASK_AGAIN_SECONDS}
    ).one_or_none()
    if row is not None:
        payload = {"image_id": str(image_id), "model_version": version}
        session.add(OutboxMessage(topic=TOPIC_EXPLAIN_IMAGE, payload=payload))
        session.flush()
    heatmap = session.get_one(Heatmap, (image_id, version), populate_existing=True)
    return heatmap, row is not None


def forget(session: Session, heatmap: Heatmap) -> None:
    """Drop the row of a heatmap whose bytes are gone; the next `ask` has it made again."""
    session.delete(session.get_one(Heatmap, (heatmap.image_id, heatmap.model_version)))


def wanted_image(session: Session, image_id: UUID, version: str) -> Image | None:
    """Return the photo while its heatmap waits to be made."""
    return session.execute(
        select(Image)
        .join(Heatmap, Heatmap.image_id == Image.id)
        .where(
            Image.id == image_id,
            Heatmap.model_version == version,
            Heatmap.status == HeatmapStatus.QUEUED.value,
        )
    ).scalar_one_or_none()


def finish(session: Session, image_id: UUID, version: str, outcome: Drawn | str) -> None:
    """Store where the heatmap lies, or why there is none; those who wait are told at commit."""
    drawn = outcome if isinstance(outcome, Drawn) else None
    session.execute(
        update(Heatmap)
        .where(
            Heatmap.image_id == image_id,
            Heatmap.model_version == version,
            Heatmap.status == HeatmapStatus.QUEUED.value,
        )
        .values(
            status=(HeatmapStatus.SUCCEEDED if drawn else HeatmapStatus.FAILED).value,
            object_key=drawn.object_key if drawn else None,
            sha256=drawn.sha256 if drawn else None,
            size=drawn.size if drawn else None,
            error_detail=None if isinstance(outcome, Drawn) else storable(outcome),
            finished_at=func.clock_timestamp(),
        )
    )
    session.execute(select(func.pg_notify(CHANNEL_JOB_FINISHED, str(image_id))))
