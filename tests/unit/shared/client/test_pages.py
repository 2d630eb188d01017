from dataclasses import dataclass

from shared.client.pages import items


@dataclass
class Numbers:
    data: list[int]
    next_cursor: str | None


PAGES = {None: Numbers([1, 2], "b"), "b": Numbers([], "c"), "c": Numbers([3], None)}


def test_items_of_all_pages_come_in_order_and_pages_only_when_wanted() -> None:
    read: list[str | None] = []

    def page(cursor: str | None) -> Numbers:
        read.append(cursor)
        return PAGES[cursor]

    numbers = items(page)
    assert read == []
    assert [next(numbers), next(numbers)] == [1, 2]
    assert read == [None]
    assert list(numbers) == [3]
    assert read == [None, "b", "c"]
