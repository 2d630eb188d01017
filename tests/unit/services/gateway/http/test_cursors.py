"""Cursors come back as the place that they stand for; whatever else is refused."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.gateway.http.cursors import InvalidCursor, decode_cursor, encode_cursor
from shared.db.paging import Place

ZONES = st.sampled_from([UTC, timezone(timedelta(hours=9))])


FIRST = datetime(1, 1, 2)  # noqa: DTZ001  # hypothesis adds the zone; a day's room for it


@given(st.datetimes(timezones=ZONES, min_value=FIRST), st.uuids())
def test_a_place_survives_to_the_microsecond(created_at, row_id):
    cursor = encode_cursor(Place(created_at, row_id))
    assert decode_cursor(cursor) == Place(created_at, row_id)
    assert len(cursor) == 32
    assert cursor.replace("-", "").replace("_", "").isalnum()


@pytest.mark.parametrize(
    "cursor",
    ["", "x", "é" * 32, "A" * 31, "A" * 36, "!" * 32, "f" + "_" * 31, "AAAA AAA" * 4],
)
def test_other_text_is_refused(cursor):
    with pytest.raises(InvalidCursor):
        decode_cursor(cursor)
