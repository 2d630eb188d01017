"""Links between pages keep what chose the rows, and nothing else."""

from datetime import UTC, datetime
from urllib.parse import parse_qsl, urlsplit
from uuid import UUID

import pytest
from fastapi import Request

from services.gateway.http.cursors import decode_cursor, encode_cursor
from services.gateway.http.pages import page_end
from shared.db.paging import Place

LAST = Place(datetime(2026, 11, 23, 8, tzinfo=UTC), UUID(int=7))
BEFORE = encode_cursor(Place(datetime(2026, 11, 24, tzinfo=UTC), UUID(int=3)))


def request(query: str) -> Request:
    return Request({"type": "http", "query_string": query.encode(), "headers": []})


def test_the_next_page_has_the_same_filters_and_begins_behind_this_one():
    asked = request(f"status=a%26b&status=c&limit=5&utm=x&cursor={BEFORE}")
    end = page_end("/things", asked, ("status",), LAST)
    assert end.next_cursor is not None
    assert decode_cursor(end.next_cursor) == LAST
    assert end.links.next is not None
    chosen = [("status", "a&b"), ("status", "c"), ("limit", "5")]
    assert parse_qsl(urlsplit(end.links.next).query) == [*chosen, ("cursor", end.next_cursor)]
    assert parse_qsl(urlsplit(end.links.self).query) == [*chosen, ("cursor", BEFORE)]
    assert urlsplit(end.links.next).path == "/things"


@pytest.mark.parametrize("query", ["", "utm=x"])
def test_the_only_page_leads_nowhere(query):
    end = page_end("/things", request(query), ("status",), None)
    assert (end.next_cursor, end.links.next, end.links.self) == (None, None, "/things")
