"""The outbox: messages written in the transaction of the rows they speak of (G1, G2)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import func, select, text, update
from sqlalchemy.orm import Session

from shared.contracts.tasks import TOPIC_INFER_BULK_CHUNK, TOPIC_INFER_CHUNK
from shared.db.models import OutboxMessage


@dataclass(frozen=True, slots=True)
class Unsent:
    """A message claimed for sending; its row stays locked until the transaction ends."""

    id: int
    topic: str
    payload: dict[str, Any]


def add_chunks(
    session: Session,
    image_ids: Sequence[UUID],
    chunk_size: int,
    delay: float = 0.0,
    *,
    bulk: bool = False,
) -> None:
    """Queue `image_ids` as messages of at most `chunk_size`, due in `delay` seconds.

    `bulk` says that they are a catalog's: they go to the queue that yields to the other.
    """
    for start in range(0, len(image_ids), chunk_size):
        chunk = [str(image_id) for image_id in image_ids[start : start + chunk_size]]
        session.add(
            OutboxMessage(
                topic=TOPIC_INFER_BULK_CHUNK if bulk else TOPIC_INFER_CHUNK,
                payload={"image_ids": chunk},
                available_at=func.now() + timedelta(seconds=delay),
            )
        )
    session.flush()


def claim(session: Session, limit: int) -> list[Unsent]:
    """Lock and return up to `limit` due messages, oldest first; skips what another relay holds."""
    rows = session.execute(
        select(OutboxMessage.id, OutboxMessage.topic, OutboxMessage.payload)
        .where(OutboxMessage.sent_at.is_(None), OutboxMessage.available_at <= func.now())
        .order_by(OutboxMessage.available_at, OutboxMessage.id)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    return [Unsent(*row) for row in rows]


def mark_sent(session: Session, ids: Sequence[int]) -> None:
    """Note that the broker took these messages."""
    session.execute(
        update(OutboxMessage)
        .where(OutboxMessage.id.in_(ids))
        .values(sent_at=func.clock_timestamp())
    )


def purge_sent(session: Session, older_than_seconds: float, limit: int = 10_000) -> int:
    """Delete up to `limit` messages sent longer ago than that; returns how many."""
    result = session.execute(
        text("""
        DELETE FROM outbox WHERE id IN (
            SELECT id FROM outbox
            WHERE sent_at < now() - make_interval(secs => :seconds) LIMIT :limit)
        """),
        {"seconds": older_than_seconds, "limit": limit},
    )
    return int(result.rowcount)  # type: ignore[attr-defined]  # CursorResult of a DELETE


def backlog(session: Session) -> tuple[int, float]:
    """Return (due unsent messages, age of the oldest in seconds)."""
    row = session.execute(
        text("""
        SELECT count(*), coalesce(extract(epoch FROM now() - min(available_at)), 0)
        FROM outbox WHERE sent_at IS NULL AND available_at <= now()
        """)
    ).one()
    return int(row[0]), float(row[1])
