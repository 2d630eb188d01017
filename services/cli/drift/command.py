"""`detector drift`: whether predictions have shifted, why, and a rehearsal of it."""

from enum import StrEnum
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import typer

from services.cli.client import AsJson, AsJsonLines, Limit, Since, Until, write_parts
from services.cli.drift import reference as drift_reference
from services.cli.drift.sources import DriftSource, drift_source
from services.cli.drift.tables import print_overview, print_report, print_reports
from services.cli.output import fail, new_app, print_models, say
from services.cli.times import parse_moment
from shared.contracts.drift import Severity
from shared.core.settings import local_dir

if TYPE_CHECKING:
    from services.cli.drift.simulation import Simulation

# Below the embedded stack's directory.
_PAGE = "drift-simulation.html"

app = new_app("See whether predictions have drifted, and why.")
app.add_typer(drift_reference.app, name="reference")


class Shift(StrEnum):
    """What a simulation changes."""

    GENERATOR = "generator"
    JPEG_QUALITY = "jpeg-quality"
    NONE = "none"


AllTenants = Annotated[
    bool,
    typer.Option("--all-tenants", help="All tenants together, straight from the database."),
]
Html = Annotated[
    Path | None, typer.Option("--html", metavar="FILE", help="Write the report as a page.")
]


@app.callback()
def _group() -> None:
    """See whether predictions have drifted, and why."""


@app.command()
def status(all_tenants: AllTenants = False, as_json: AsJson = False) -> None:
    """Print where each model version stands: severity, since when, the cause, the checks."""
    with drift_source(all_tenants) as source:
        overview = source.status()
    if as_json:
        print_models(overview)
        return
    print_overview(overview)


@app.command()
def reports(
    severity: Annotated[
        list[Severity] | None, typer.Option(help="One of these; repeat it for several.")
    ] = None,
    model_version: Annotated[str | None, typer.Option(help="Of this model version.")] = None,
    since: Since = None,
    until: Until = None,
    limit: Limit = 20,
    all_tenants: AllTenants = False,
    as_json: AsJsonLines = False,
) -> None:
    """List reports, the newest window first."""
    after, before = parse_moment(since, "--since"), parse_moment(until, "--until")
    with drift_source(all_tenants) as source:
        found = source.reports(
            severity=severity or (),
            model_version=model_version,
            created_after=after,
            created_before=before,
            page_size=min(limit, 100),
        )
        wanted = list(islice(found, limit))
    if as_json:
        print_models(*wanted)
        return
    print_reports(wanted)


@app.command()
def show(
    report_id: Annotated[
        UUID | None,
        typer.Argument(metavar="[ID]", help="The report's id [the newest of the worst model]."),
    ] = None,
    html: Html = None,
    all_tenants: AllTenants = False,
    as_json: AsJson = False,
) -> None:
    """Print a report: the cause, what to do, the tests and the segments that moved."""
    with drift_source(all_tenants) as source:
        wanted = report_id or _newest(source)
        report = source.report(wanted)
        if html is not None:
            write_parts([source.page(wanted)], html)
    if as_json:
        print_models(report)
    else:
        print_report(report)


@app.command()
def simulate(
    shift: Annotated[Shift, typer.Option(help="What changes.")] = Shift.GENERATOR,
    share: Annotated[
        float | None,
        typer.Option(min=0.01, max=1, help="Part of the traffic [0.2; 0.8 for jpeg-quality]."),
    ] = None,
    windows: Annotated[int, typer.Option(min=1, max=12, help="Windows that show it.")] = 3,
    dataset: Annotated[
        Path | None,
        typer.Option(
            envvar="DETECTOR_DATASET_DIR",
            help="Folder with manifest.csv: its photos are judged by the running workers.",
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the chance.")] = 0,
    timeout: Annotated[float, typer.Option(min=1, help="Seconds to wait for the checks.")] = 180,
    html: Annotated[
        Path | None,
        typer.Option(
            "--html", metavar="FILE", help=f"Where the report goes as a page [.local/{_PAGE}]."
        ),
    ] = None,
    clean: Annotated[
        bool, typer.Option("--clean", help="Only remove the last simulation.")
    ] = False,
) -> None:
    """Rehearse drift: a tenant and a model version of its own, checked by the drift service.

    A day of ordinary verdicts is stored, then windows with the shift; the service finds them at its
    next look. Exit code 1 when it does not say what was simulated. Without a dataset the scores are
    made up. Nothing of this touches the photos of real tenants.
    """
    from services.cli.drift.simulation import Plan, Simulation, remove

    if clean:
        remove()
        say("simulated tenants, verdicts, checks and reports are removed.")
        return
    part = share or (0.8 if shift is Shift.JPEG_QUALITY else 0.2)
    simulation = Simulation(Plan(shift.value, part, windows, seed), dataset)
    simulation.store()
    _show_end(simulation, simulation.wait(timeout), html or local_dir() / _PAGE)


def _show_end(simulation: "Simulation", checked: bool, html: Path) -> None:
    if not checked:
        fail(
            "the drift service has not checked the simulated windows in time. Is it running"
            " (`python -m services.drift`), with the same DETECTOR_DRIFT_* as here?",
            code=1,
        )
    with simulation.client() as client:
        print_overview(client.drift.status())
        report = client.drift.report(_newest(client.drift))
        print_report(report)
        html.parent.mkdir(parents=True, exist_ok=True)
        write_parts([client.drift.page(report.id)], html)
        version = report.model_version
    say(f"that report, for a key of the simulation's tenant: GET {report.links.self}")
    say(f"the operator's: detector drift reports --all-tenants --model-version {version}")
    say("remove it again: detector drift simulate --clean")
    if not simulation.is_named(report):
        fail("this is not what was simulated.", code=1)


def _newest(source: DriftSource) -> UUID:
    """Return the newest report of the model version that stands worst; exits with 1 without any."""
    overview = source.status()
    with_report = [state for state in overview.data if state.report_id is not None]
    worst = max(with_report, key=lambda state: list(Severity).index(state.severity), default=None)
    if worst is None or worst.report_id is None:
        fail("there is no drift report yet.", code=1)
    return worst.report_id
