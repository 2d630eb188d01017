"""What the stack needs to know of a server."""

from pathlib import Path
from typing import Protocol

from infra.local.processes.program import Program


class Server(Protocol):
    """One embedded server."""

    @property
    def name(self) -> str:
        """Name of its program, log file and data directory."""

    @property
    def binary(self) -> Path:
        """Resolved path of the server program. Raises MissingBinaryError."""

    def prepare(self) -> None:
        """Write configuration and data files. Called while the server does not run.

        Raises:
            LocalStackError: it cannot be prepared.
        """

    def program(self) -> Program:
        """Return how supervisor runs it."""

    def check(self) -> None:
        """Return if the server answers an authenticated request; raise any Exception if not."""

    def finish(self) -> None:
        """Complete the set-up of a server that answers; does nothing when done before."""

    def clean(self) -> None:
        """Remove what it leaves outside its directory. Called while it does not run."""
