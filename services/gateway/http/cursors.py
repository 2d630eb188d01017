"""Opaque cursors: the place of the last row of a page, as URL-safe text."""

import base64
import struct
from datetime import UTC, datetime, timedelta
from uuid import UUID

from services.gateway.http.problems import INVALID_REQUEST, ProblemError
from shared.db.paging import Place

# Microseconds since 1970 and the id's bytes.
_FORMAT = struct.Struct(">q16s")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class InvalidCursor(ValueError):
    """The text is no cursor of ours."""


def encode_cursor(place: Place) -> str:
    """Return `place` as a cursor; its time has a zone."""
    microseconds = (place.created_at - _EPOCH) // _MICROSECOND
    return base64.urlsafe_b64encode(_FORMAT.pack(microseconds, place.id.bytes)).decode()


def decode_cursor(cursor: str) -> Place:
    """Return the place that `encode_cursor` was given. Raises InvalidCursor."""
    try:
        microseconds, raw_id = _FORMAT.unpack(
            base64.b64decode(cursor.encode("ascii"), altchars=b"-_", validate=True)
        )
        return Place(_EPOCH + microseconds * _MICROSECOND, UUID(bytes=raw_id))
    except (ValueError, struct.error, OverflowError) as error:
        raise InvalidCursor("not a cursor of this API") from error


def place_of(cursor: str | None) -> Place | None:
    """Return where a request's page begins. Raises ProblemError that names the parameter."""
    if cursor is None:
        return None
    try:
        return decode_cursor(cursor)
    except InvalidCursor as error:
        item = {"field": "cursor", "code": "invalid_value", "detail": str(error)}
        raise ProblemError(INVALID_REQUEST, f"cursor: {error}", [item]) from error
