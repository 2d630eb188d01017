"""A service of the product as the stack runs it."""

from collections.abc import Callable
from dataclasses import dataclass

from infra.local.processes.program import Program


@dataclass(frozen=True)
class Service:
    """`check` returns if the service is ready and raises any Exception if not."""

    program: Program
    check: Callable[[], object]
