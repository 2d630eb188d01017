"""`python -m services.training evaluation`: measure a package on native photos, write its card."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from services.training.data.manifest import MANIFEST
from services.training.errors import TrainingError
from services.training.evaluate.reevaluate import TOLERANCE
from services.training.evaluation.card import members_card
from services.training.evaluation.finish import finish_package
from services.training.evaluation.judging import TierScores
from services.training.evaluation.photos import PhotoSet
from services.training.evaluation.run import Places, check_package, evaluate_package
from services.training.settings import TrainingSettings
from shared.core.settings import REPOSITORY_ROOT
from shared.ml.errors import PackageError
from shared.ml.package import load_package

evaluation_app = typer.Typer(
    help="Judge native photos, each saved anew in tiers that are alike for both classes.",
    no_args_is_help=True,
)
_console = Console(stderr=True, markup=False, highlight=False)

PackageArgument = Annotated[Path, typer.Argument(help="A model package directory.")]
OriginalsOption = Annotated[
    Path | None,
    typer.Option(
        help="Folder with the photos' originals, outside the work tree; without it only the stored"
        " views are judged.",
        envvar="DETECTOR_ORIGINALS_DIR",
    ),
]
CacheOption = Annotated[
    Path | None,
    typer.Option(
        help="Folder outside the work tree that keeps scores, so that a stopped run resumes.",
        envvar="DETECTOR_EVALUATION_CACHE",
    ),
]
ManifestOption = Annotated[Path, typer.Option(help="The manifest that lists the photos.")]
ToleranceOption = Annotated[
    float, typer.Option(help="Largest difference of a rate that passes.", min=0)
]


@evaluation_app.command(name="run")
def run_command(
    directory: PackageArgument,
    *,
    output: Annotated[
        Path | None, typer.Option(help="Write the report there; else it is printed.")
    ] = None,
    write: Annotated[
        bool, typer.Option(help="Put report, photos and card into the package.")
    ] = False,
    beside: Annotated[
        list[Path] | None,
        typer.Option(help="Another package to judge the same photos with; repeatable."),
    ] = None,
    views: Annotated[
        bool, typer.Option(help="Judge the stored views, too, for which peers have scores.")
    ] = True,
    originals: OriginalsOption = None,
    cache: CacheOption = None,
    manifest: ManifestOption = MANIFEST,
) -> None:
    """Judge the test photos with a package and report every number as JSON."""
    with _told():
        places = places_of(originals, cache, manifest)
        kept: list[tuple[PhotoSet, TierScores]] = []
        report = evaluate_package(
            directory,
            places,
            beside=beside or (),
            keep=lambda *found: kept.append(found),
            views=views,
            say=_console.print,
        )
        if write:
            if not kept:
                raise TrainingError("a package is finished where its test photos' originals are")
            own = _own(directory)
            report = {name: own.get(name) for name in ("validation", "bound_coverage")} | report
            finish_package(directory, report, *kept[0])
            _console.print(f"the evaluation is in {directory}")
            return
        text = json.dumps(report, indent=1)
        if output is None:
            print(text)
        else:
            output.write_text(text + "\n", encoding="utf-8")
            _console.print(f"report in {output}")


def _own(directory: Path) -> dict[str, Any]:
    """Return what a package's evaluation says already: what its rules were chosen on."""
    report: dict[str, Any] = json.loads(load_package(directory).evaluation.read_text())
    return report


@evaluation_app.command(name="check")
def check_command(
    directory: PackageArgument,
    *,
    tolerance: ToleranceOption = TOLERANCE,
    originals: OriginalsOption = None,
    manifest: ManifestOption = MANIFEST,
) -> None:
    """Measure a package of members again and compare; exit 1 where a number differs."""
    with _told():
        # Measured anew: kept scores would only repeat themselves.
        places = places_of(originals, None, manifest)
        checked = check_package(directory, places, tolerance=tolerance, say=_console.print)
        for line in checked.unchecked:
            _console.print(f"not checked: {line}")
        for line in checked.differing:
            print(line)
        if checked.differing:
            raise typer.Exit(1)
        _console.print("every number that was measured again was reproduced")


@evaluation_app.command(name="card")
def card_command(
    directory: PackageArgument,
    report: Annotated[
        Path | None, typer.Option(help="A report; else the package's own evaluation.")
    ] = None,
) -> None:
    """Print the model card of a package of members."""
    with _told():
        found = load_package(directory)
        content = (report or found.evaluation).read_text(encoding="utf-8")
        print(members_card(found.manifest, json.loads(content)))


def places_of(originals: Path | None, cache: Path | None, manifest: Path = MANIFEST) -> Places:
    """Return where the photos are, with what the environment says of the rest.

    Raises TrainingError when there is no dataset folder, or a folder lies in the work tree.
    """
    settings = TrainingSettings()
    for name, folder in (("originals", originals), ("cache", cache)):
        if folder and folder.resolve().is_relative_to(REPOSITORY_ROOT.resolve()):
            raise TrainingError(f"--{name} {folder} lies in the work tree: name a folder outside")
    return Places(
        manifest=manifest,
        dataset=settings.require_dataset(),
        originals=originals,
        cache=cache,
        peers_file=settings.peers_file,
    )


@contextmanager
def _told() -> Iterator[None]:
    """Print an expected failure as one line and exit with 2, without a traceback."""
    try:
        yield
    except (TrainingError, PackageError, ValueError) as error:
        _console.print(f"error: {error}", style="red")
        raise typer.Exit(2) from error
