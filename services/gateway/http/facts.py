"""What one request's canonical log line says, gathered while it is handled."""

import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from starlette.types import Scope

_KEY = "facts"


@dataclass(slots=True)
class RequestFacts:
    """Filled by whoever learns a fact; read once, at the end."""

    request_id: str
    bytes_in: int = 0
    tenant_id: UUID | None = None
    job_id: UUID | None = None
    images: int | None = None
    refused: int | None = None
    # Seconds spent waiting because the client asked to wait; not counted as latency.
    waited_seconds: float = 0.0
    problem: str | None = None
    # Headers that every answer to this request carries, problems included.
    headers: dict[str, str] = field(default_factory=dict)

    @contextlib.contextmanager
    def waiting(self, wanted_seconds: float) -> Iterator[None]:
        """Count the block's time as waiting, up to the seconds that the client asked for."""
        started = time.perf_counter()
        try:
            yield
        finally:
            self.waited_seconds = min(wanted_seconds, time.perf_counter() - started)

    def log_fields(self) -> dict[str, Any]:
        """Return the known facts under their log names."""
        fields: dict[str, Any] = {"bytes_in": self.bytes_in}
        if self.tenant_id:
            fields["tenant_id"] = str(self.tenant_id)
        if self.job_id:
            fields["job_id"] = str(self.job_id)
        if self.waited_seconds:
            fields["waited_ms"] = round(self.waited_seconds * 1000, 1)
        for name in ("images", "refused", "problem"):
            if (value := getattr(self, name)) is not None:
                fields[name] = value
        return fields


def attach_facts(scope: Scope, facts: RequestFacts) -> None:
    """Make `facts` reachable through the request's `scope`."""
    scope.setdefault("state", {})[_KEY] = facts


def facts_of(scope: Scope) -> RequestFacts:
    """Return the facts of the request of `scope`."""
    facts = scope["state"][_KEY]
    assert isinstance(facts, RequestFacts)  # noqa: S101  # nothing else is stored there
    return facts
