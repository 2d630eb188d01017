"""`detector drift reference`: what a model version's traffic is compared with."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from services.cli.client import AsJsonLines
from services.cli.output import fail, new_app, print_json, print_table, say
from services.cli.servers import database_session, server_settings
from services.cli.times import parse_moment, shown
from shared.core.settings import REPOSITORY_ROOT

if TYPE_CHECKING:
    from shared.db.drift.requests import ListedReference, NewRequest
    from shared.ml.package import ModelPackage
    from shared.ml.spec import ModelManifest

_POLL_SECONDS = 0.25

app = new_app("Choose what a model version's traffic is compared with.")

Model = Annotated[str, typer.Option("--model", metavar="VERSION", help="Of this model version.")]
Timeout = Annotated[
    float, typer.Option(min=0, help="Seconds to wait until the drift service has done it.")
]


@app.callback()
def _group() -> None:
    """Choose what a model version's traffic is compared with, for all tenants.

    Straight in the database; the drift service carries it out at its next look.
    """


@app.command()
def evaluation(
    package: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="The model package [DETECTOR_MODEL_DIR, else the champion's]."
        ),
    ] = None,
    ai_share: Annotated[
        float,
        typer.Option(
            min=0, max=0.99, help="Share of AI-generated photos to expect in the traffic."
        ),
    ] = 0.05,
    budget: Annotated[
        float | None,
        typer.Option(help="The workers' false-accusation budget, where it is not the package's."),
    ] = None,
    timeout: Timeout = 120,
) -> None:
    """Compare with the package's own evaluation from now on, until another choice."""
    from shared.contracts.drift import ReferenceChoice
    from shared.db.drift.requests import NewRequest

    found = _package(package)
    manifest = _at_budget(found.manifest, budget)
    if found.evaluation_photos is None:
        fail(
            f"the package {found.directory} was made before its evaluation was kept photo by photo."
            f" Add it: python -m services.training photos --package {found.directory}"
        )
    request = NewRequest(
        model_version=manifest.version,
        choice=ReferenceChoice.EVALUATION,
        ai_share=ai_share,
        manifest=manifest.model_dump(mode="json"),
        evaluation=found.evaluation_photos.read_bytes(),
    )
    _ask(request, timeout)


@app.command()
def freeze(
    model: Model,
    since: Annotated[str, typer.Option(metavar="TIME", help="As 2026-11-23T08:00Z.")],
    until: Annotated[str, typer.Option(metavar="TIME", help="Until before then.")],
    timeout: Timeout = 120,
) -> None:
    """Compare with the verdicts of this window from now on, until another choice."""
    from shared.contracts.drift import ReferenceChoice
    from shared.db.drift.requests import NewRequest

    start, end = parse_moment(since, "--since"), parse_moment(until, "--until")
    if start is None or end is None or start >= end:
        fail("--since must be before --until.")
    _ask(NewRequest(model, ReferenceChoice.WINDOW, start, end), timeout)


@app.command()
def auto(model: Model, timeout: Timeout = 120) -> None:
    """Compare with what the service freezes and renews by itself again."""
    from shared.contracts.drift import ReferenceChoice
    from shared.db.drift.requests import NewRequest

    _ask(NewRequest(model, ReferenceChoice.AUTOMATIC), timeout)


@app.command(name="list")
def list_command(as_json: AsJsonLines = False) -> None:
    """List the references of every model version, the newest first, and which is in use."""
    from shared.db.drift.requests import list_references, unfinished_or_failed

    with database_session() as session:
        found = list_references(session)
        waiting = [
            (row.model_version, row.choice, shown(row.created_at), row.error)
            for row in unfinished_or_failed(session)
        ]
    if as_json:
        for each in found:
            print_json(_as_json(each))
    elif found:
        print_table(
            ["model", "in use", "from", "since", "until", "photos", "made", "by", "id"],
            map(_row, found),
            right=["photos"],
        )
    else:
        say("there is no reference yet: the service makes one of the first day with enough photos.")
    for version, choice, asked, error in waiting:
        state = f"failed: {error}" if error else "waits for the drift service"
        say(f"asked for at {asked}: {choice} for {version}; {state}")


def _package(directory: Path | None) -> "ModelPackage":
    from shared.ml.errors import PackageError
    from shared.ml.package import load_package

    known = server_settings().get("DETECTOR_MODEL_DIR")
    try:
        return load_package(directory or known or REPOSITORY_ROOT / "models" / "champion")
    except PackageError as error:
        fail(str(error))


def _at_budget(manifest: "ModelManifest", budget: float | None) -> "ModelManifest":
    known = server_settings().get("DETECTOR_WORKER_FALSE_ACCUSATION_BUDGET")
    if budget is None and known is None:
        return manifest
    try:
        return manifest.at_budget(float(known or 0) if budget is None else budget)
    except ValueError as error:
        fail(str(error))


def _ask(new: "NewRequest", timeout: float) -> None:
    """Store the request and wait until it was carried out; exits with 1 when it was not."""
    from shared.db.drift.requests import add_request, get_request, list_references

    with database_session() as session:
        request_id = add_request(session, new)
    deadline = time.monotonic() + timeout
    while True:
        with database_session() as session:
            row = get_request(session, request_id)
            if row is not None and row.finished_at is not None:
                if row.error is not None:
                    fail(f"the reference stays as it was: {row.error}.", code=1)
                listed = list_references(session)
                break
        if time.monotonic() >= deadline:
            fail(
                f"the drift service has not done it within {timeout:g} s. The choice is stored, and"
                " carried out at its next look: is it running (`python -m services.drift`)?",
                code=1,
            )
        time.sleep(_POLL_SECONDS)
    own = [each for each in listed if each.model_version == new.model_version and each.in_use]
    if own:
        say(f"{new.model_version} is compared with: {_words(own[0])}")
    else:
        say(f"{new.model_version} has no reference yet: the service makes one of the next photos.")


def _words(each: "ListedReference") -> str:
    photos = f"{each.photos:,} photos"
    if each.window_start is None:
        return f"evaluation of {each.model_version}, {photos}"
    return f"verdicts from {shown(each.window_start)} to {shown(each.window_end)} UTC, {photos}"


def _row(each: "ListedReference") -> list[tuple[str, str]]:
    return [
        (each.model_version, ""),
        ("yes" if each.in_use else "", "green"),
        (each.source, ""),
        (shown(each.window_start), "dim"),
        (shown(each.window_end), "dim"),
        (str(each.photos), ""),
        (shown(each.created_at), "dim"),
        ("operator" if each.chosen else "service", "dim"),
        (str(each.id), "dim"),
    ]


def _as_json(each: "ListedReference") -> dict[str, object]:
    times = (each.window_start, each.window_end, each.created_at)
    start, end, made = (moment.isoformat() if moment else None for moment in times)
    return {
        "id": str(each.id),
        "model_version": each.model_version,
        "source": each.source,
        "window_start": start,
        "window_end": end,
        "photos": each.photos,
        "created_at": made,
        "chosen": each.chosen,
        "in_use": each.in_use,
    }
