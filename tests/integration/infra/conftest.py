"""Stacks of these tests are their own: they are killed, frozen and damaged."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from infra.local import Stack
from tests.integration.infra.processes import processes_of


@pytest.fixture(scope="package")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Servers shared by these tests, which must leave them running."""
    with Stack(tmp_path_factory.mktemp("stack")) as stack:
        yield stack


@pytest.fixture
def make_stack(tmp_path: Path) -> Iterator[Callable[..., Stack]]:
    """A function that makes a stack in the test's directory; all are stopped at the end."""
    made: list[Stack] = []

    def make(name: str = "stack", **options: object) -> Stack:
        stack = Stack(tmp_path / name, **options)
        made.append(stack)
        return stack

    yield make
    for stack in made:
        stack.stop()
    assert processes_of(tmp_path) == []
