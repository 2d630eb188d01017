"""`detector doctor`: check every dependency and say how to mend it."""

from collections import Counter
from typing import TYPE_CHECKING

import typer

from services.cli.client import AsJsonLines
from services.cli.output import new_app, print_json, print_table, printable

if TYPE_CHECKING:
    from services.cli.doctor.result import Check, Report

app = new_app("Check every dependency and say how to mend it.")

_STYLE = {"ok": "green", "warn": "yellow", "fail": "red"}


@app.command()
def doctor(
    as_json: AsJsonLines = False,
) -> None:
    """Check every dependency and say how to mend it; exit code 1 when something fails.

    Settings come from the environment, else from the files that `make up` writes. In the object
    store one object of six bytes is written and removed.
    """
    from services.cli.doctor.result import Level, run_all

    reports = run_all(_checks())
    if as_json:
        for report in reports:
            print_json(_as_json(report))
    else:
        _print(reports)
    if any(report.finding.level is Level.FAIL for report in reports):
        raise typer.Exit(1)


def _checks() -> "list[Check]":
    from services.cli.doctor import machine
    from services.cli.doctor.gateway import gateway_checks
    from services.cli.doctor.result import Check
    from services.cli.doctor.servers import server_checks
    from services.cli.servers import server_settings
    from shared.core.settings import local_dir

    settings = server_settings()
    return [
        Check("python", machine.python),
        *gateway_checks(),
        *server_checks(settings),
        Check("model package", lambda: machine.model(settings)),
        Check("engine", machine.engine),
        Check("disk", lambda: machine.disk(local_dir())),
    ]


def _as_json(report: "Report") -> dict[str, object]:
    finding = report.finding
    return {
        "check": report.name,
        "level": finding.level.value,
        "detail": finding.detail,
        "mend": finding.mend or None,
        "seconds": round(report.seconds, 3),
    }


def _print(reports: "list[Report]") -> None:
    print_table(
        ["level", "check", "finding"],
        (
            [
                (report.finding.level.value, _STYLE[report.finding.level.value]),
                (report.name, ""),
                (report.finding.detail, ""),
            ]
            for report in reports
        ),
    )
    for report in reports:
        if report.finding.mend:
            print(f"{report.name}: {printable(report.finding.mend)}")
    counts = Counter(report.finding.level.value for report in reports)
    print(", ".join(f"{counts[level]} {level}" for level in _STYLE))
