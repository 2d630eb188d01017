"""The form of a finding, and how checks are run."""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """`fail` stops the product from working here, `warn` may."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found; `mend` says what to do and is empty when all is well."""

    level: Level
    detail: str
    mend: str = ""


@dataclass(frozen=True, slots=True)
class Check:
    """A name and a function without arguments that finds out."""

    name: str
    run: Callable[[], Finding]


@dataclass(frozen=True, slots=True)
class Report:
    """One finding under its check's name; `seconds` is how long it took."""

    name: str
    finding: Finding
    seconds: float


def ok(detail: str) -> Finding:
    """All is well."""
    return Finding(Level.OK, detail)


def warn(detail: str, mend: str) -> Finding:
    """It works, but look at it."""
    return Finding(Level.WARN, detail, mend)


def fail(detail: str, mend: str) -> Finding:
    """It does not work."""
    return Finding(Level.FAIL, detail, mend)


def one_line(error: BaseException) -> str:
    """Return an error's message on one line."""
    return " ".join(str(error).split()) or type(error).__name__


def run_all(checks: Iterable[Check]) -> list[Report]:
    """Run the checks one after the other, in order."""
    reports = []
    for check in checks:
        started = time.monotonic()
        try:
            finding = check.run()
        except Exception as error:  # noqa: BLE001  # a broken check is a finding, not a crash
            finding = fail(
                f"the check itself failed: {type(error).__name__}: {one_line(error)}",
                "Report this as a bug of `detector doctor`.",
            )
        reports.append(Report(check.name, finding, time.monotonic() - started))
    return reports
