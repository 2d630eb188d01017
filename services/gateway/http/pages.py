"""Pages of a list: the parameters that every list takes, and the links between its pages."""

from collections.abc import Collection
from typing import Annotated, NamedTuple
from urllib.parse import urlencode

from fastapi import Query, Request

from services.gateway.http.cursors import encode_cursor
from shared.contracts.wire.job_requests import MAX_PAGE, PageLinks
from shared.db.paging import Place

PageLimit = Annotated[int, Query(ge=1, le=MAX_PAGE, description="Entries of a page.")]
Cursor = Annotated[
    str | None, Query(max_length=64, description="`next_cursor` of the page before.")
]


class PageEnd(NamedTuple):
    """What every page says of itself and of the next; both are null on the last one."""

    next_cursor: str | None
    links: PageLinks


def page_end(
    path: str, request: Request, filters: Collection[str], following: Place | None
) -> PageEnd:
    """Return the end of the page of `path` that `request` asked for.

    `filters` names the parameters that choose its rows: links repeat them, and `limit`.
    """
    parameters = request.query_params
    names = {"limit", *filters}
    query = [(name, value) for name, value in parameters.multi_items() if name in names]

    def link(cursor: str | None) -> str:
        whole = query if cursor is None else [*query, ("cursor", cursor)]
        return f"{path}?{urlencode(whole)}" if whole else path

    cursor = encode_cursor(following) if following else None
    links = PageLinks(self=link(parameters.get("cursor")), next=link(cursor) if cursor else None)
    return PageEnd(cursor, links)
