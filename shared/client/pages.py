"""Lists that the gateway gives page by page, as one iterator."""

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol, TypeVar

ItemT = TypeVar("ItemT")
ItemT_co = TypeVar("ItemT_co", covariant=True)


class Page(Protocol[ItemT_co]):
    """What `JobPage`, `CatalogPage` and `DeliveryPage` have in common."""

    @property
    def data(self) -> Sequence[ItemT_co]:
        """The page's items."""

    @property
    def next_cursor(self) -> str | None:
        """Leads to the next page; None on the last one."""


def items(read: Callable[[str | None], Page[ItemT]]) -> Iterator[ItemT]:
    """Yield the items of every page; a page is read when its first item is wanted.

    `read` gets the cursor of a page, None for the first.
    """
    cursor: str | None = None
    while True:
        page = read(cursor)
        yield from page.data
        cursor = page.next_cursor
        if cursor is None:
            return
