"""Keyset pages: newest first, and stable while rows are added."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar
from uuid import UUID

from sqlalchemy import ColumnElement, and_, or_
from sqlalchemy.orm import InstrumentedAttribute

from shared.db.models import Catalog, Job

T = TypeVar("T", Catalog, Job)


@dataclass(frozen=True, slots=True)
class Place:
    """The last row of a page; the next page begins behind it."""

    created_at: datetime
    id: UUID


def behind(
    place: Place, created_at: InstrumentedAttribute[datetime], row_id: InstrumentedAttribute[UUID]
) -> ColumnElement[bool]:
    """Return that a row comes after `place` in the order of creation, newest first, then id."""
    return and_(
        # Implied by the rest, and lets an index on that order find the place.
        created_at <= place.created_at,
        or_(
            created_at < place.created_at,
            and_(created_at == place.created_at, row_id > place.id),
        ),
    )


def cut(rows: Sequence[T], limit: int) -> tuple[Sequence[T], Place | None]:
    """Return the page of `limit` rows and where the next begins; `rows` has one more if there is.

    None at the end.
    """
    page = rows[:limit]
    more = len(rows) > limit
    return page, Place(page[-1].created_at, page[-1].id) if more else None
