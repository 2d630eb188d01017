"""What keeps the processes of one run (pytest-xdist's workers) out of each other's way."""

import os
from collections.abc import Sequence
from typing import TypeVar

import pytest

from infra.local.directory import state

NUMBER = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
COUNT = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))

Part = TypeVar("Part", bound=Sequence[object])

# A file is one process's work, so long ones go first: the last minute is shared in small pieces.
_LONGEST_FIRST = ("tests/integration/training", "tests/faults", "tests/e2e", "tests/integration")


def share(whole: Part) -> Part:
    """Return this process's part of `whole`; the processes' parts do not overlap."""
    size = len(whole) // COUNT
    return whole[NUMBER * size : (NUMBER + 1) * size]  # type: ignore[return-value]


def prepare() -> None:
    """Give this process ports and processor time of its own; call before torch is imported."""
    if COUNT == 1:
        return
    # A port is free until its server listens, which takes a second.
    state._PORT_RANGE = share(state._PORT_RANGE)
    # Threads of one process that wait for those of another spin meanwhile.
    os.environ.setdefault("OMP_NUM_THREADS", "1")


def put_longest_first(items: list[pytest.Item]) -> None:
    """Sort `items` by what their folders take; they stay together by file."""

    def rank(item: pytest.Item) -> int:
        folders = [n for n, f in enumerate(_LONGEST_FIRST) if item.nodeid.startswith(f)]
        return folders[0] if folders else len(_LONGEST_FIRST)

    if COUNT > 1:
        items.sort(key=rank)
