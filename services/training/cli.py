"""`python -m services.training`: run, train, package, evaluate."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from services.training.config import load_config
from services.training.errors import TrainingError
from services.training.evaluate.reevaluate import TOLERANCE, differences, reevaluate
from services.training.evaluation.cli import (
    CacheOption,
    OriginalsOption,
    check_command,
    evaluation_app,
    run_command,
)
from services.training.experiments import compare, table
from services.training.eyes.cli import app as eyes_app
from services.training.fit.training import Progress as ProgressCall
from services.training.package.embed import embed_package
from services.training.package.photos import photos_package
from services.training.package.readme import update_readme
from services.training.pipeline import Run, package, prepare, train
from services.training.public.cli import app as public_app
from services.training.registry.tracking import RunTracker
from services.training.settings import TrainingSettings
from shared.core.settings import REPOSITORY_ROOT
from shared.ml.errors import PackageError
from shared.ml.package import load_package, read_manifest
from shared.registry.errors import RegistryError

CHAMPION = REPOSITORY_ROOT / "models" / "champion"

app = typer.Typer(
    help="Train, evaluate and package a detector.", no_args_is_help=True, add_completion=False
)
app.add_typer(eyes_app, name="eyes")
app.add_typer(evaluation_app, name="evaluation")
app.add_typer(public_app, name="public")
# Messages hold lists and paths, which must not be taken for markup.
_console = Console(stderr=True, markup=False, highlight=False)

ConfigOption = Annotated[
    Path, typer.Option("--config", help="YAML run configuration (services/training/configs).")
]


@app.command()
def run(config: ConfigOption) -> None:
    """Do everything, from photos to a registered challenger. Continues a stopped run."""
    with _told():
        prepared = _prepare(config)
        with _tracked(prepared) as tracker:
            _train(prepared, tracker)
            _package(prepared, tracker)


@app.command(name="train")
def train_command(config: ConfigOption) -> None:
    """Train only, or continue a stopped run."""
    with _told():
        prepared = _prepare(config)
        with _tracked(prepared) as tracker:
            _train(prepared, tracker)


@app.command(name="package")
def package_command(config: ConfigOption) -> None:
    """Calibrate, evaluate, package and register the best weights of a run trained before."""
    with _told():
        prepared = _prepare(config)
        with _tracked(prepared) as tracker:
            _package(prepared, tracker)


@app.command(name="evaluate")
def evaluate_command(
    directory: Annotated[
        Path,
        typer.Argument(help="A model package directory.", envvar="DETECTOR_MODEL_DIR"),
    ] = CHAMPION,
    *,
    check: Annotated[
        bool,
        typer.Option(help="Compare with the package's evaluation.json; exit 1 where it differs."),
    ] = False,
    tolerance: Annotated[
        float, typer.Option(help="Largest difference of a rate that --check lets pass.", min=0)
    ] = TOLERANCE,
    peer: Annotated[
        Literal["sahu65"] | None, typer.Option(help="Run this published detector, too.")
    ] = None,
    originals: OriginalsOption = None,
    cache: CacheOption = None,
) -> None:
    """Evaluate a package on the test splits again and print the numbers as JSON.

    One of members is judged on native photos, as `evaluation run` and `evaluation check` do.
    """
    with _told():
        if read_manifest(directory).members:
            if check:
                check_command(directory, tolerance=tolerance, originals=originals)
            else:
                run_command(directory, originals=originals, cache=cache)
            return
        settings = TrainingSettings()
        found, report = reevaluate(
            directory,
            settings.require_dataset(),
            settings,
            peer=peer,
            validation=check,
            say=_console.print,
        )
        if not check:
            print(json.dumps(report, indent=1))
            return
        shipped = json.loads(found.evaluation.read_text(encoding="utf-8"))
        differing = differences(shipped, report, tolerance)
        for line in differing:
            print(line)
        if differing:
            raise typer.Exit(1)
        _console.print("every number of the package was reproduced")
        if "peers" not in report:
            _console.print("not checked: peers (set DETECTOR_PEERS_FILE)")


@app.command(name="embed")
def embed_command(
    directory: Annotated[
        Path, typer.Option("--package", help="A model package directory.")
    ] = CHAMPION,
    output: Annotated[
        Path | None, typer.Option(help="Where to write the outcome; else it is changed in place.")
    ] = None,
    version: Annotated[
        str | None, typer.Option(help="Version of the outcome; else it stays as it is.")
    ] = None,
) -> None:
    """Give a package an embedding for drift detection, from its own weights: no training.

    A package that a registry holds needs a new version: verdicts name it.
    """
    with _told():
        dataset = TrainingSettings().require_dataset()
        manifest = embed_package(directory, dataset, output, version)
        found = manifest.embedding
        if found:
            _console.print(
                f"{manifest.name} {manifest.version} in {output or directory} has an embedding of"
                f" {found.dim} components with {found.explained_variance:.0%} of the variance of"
                f" {found.photos} {found.fitted_on} photos"
            )


@app.command(name="photos")
def photos_command(
    directory: Annotated[
        Path, typer.Option("--package", help="A model package directory.")
    ] = CHAMPION,
    output: Annotated[
        Path | None, typer.Option(help="Where to write the outcome; else it is changed in place.")
    ] = None,
) -> None:
    """Add the evaluation photo by photo to a package made before it, for drift detection.

    One look at the test photos as they are stored: numbers, weights and version stay.
    """
    with _told():
        manifest = photos_package(directory, TrainingSettings().require_dataset(), output)
        entry = manifest.files.evaluation_photos
        if entry:
            _console.print(
                f"{manifest.name} {manifest.version} in {output or directory} has {entry.name}"
                f" ({entry.size_bytes} bytes)"
            )


@app.command(name="readme")
def readme_command() -> None:
    """Write the shipped champion's numbers into README.md."""
    with _told():
        champion = load_package(CHAMPION)
        report = json.loads(champion.evaluation.read_text(encoding="utf-8"))
        update_readme(REPOSITORY_ROOT / "README.md", champion.manifest, report)


@app.command(name="experiments")
def experiments_command(
    names: Annotated[
        list[str], typer.Argument(help="Configuration names; the first is the control.")
    ],
    at: Annotated[
        list[str] | None, typer.Option(help="Input as short side:crop in pixels; repeatable.")
    ] = None,
) -> None:
    """Compare trained runs on the validation photos and print a Markdown table."""
    with _told():
        print(table(compare(names, TrainingSettings(), _console.print, at or ())))


def _tracked(prepared: Run) -> RunTracker:
    return RunTracker(prepared, TrainingSettings(), _console.print)


def _package(prepared: Run, tracker: RunTracker) -> None:
    package(prepared, _console.print)
    output = (REPOSITORY_ROOT / prepared.config.package.output).resolve()
    if output == CHAMPION:
        readme_command()
    try:
        version = tracker.register(output)
    except RegistryError as error:
        # Hours of training are not lost to a registry that is away.
        _console.print(f"not registered: {error}", style="red")
        _console.print(f"Later: detector models register {output}")
        return
    if version:
        _console.print(
            f"registered {version.package_version} as version {version.number}, the challenger;"
            " compare it: detector models show challenger"
        )


def _prepare(config: Path) -> Run:
    prepared = prepare(load_config(config), TrainingSettings())
    splits = prepared.splits
    counts = {"train": splits.train, "validation": splits.validation, **splits.test}
    for name, rows in counts.items():
        generated = sum(row.label for row in rows)
        _console.print(f"{name}: {len(rows) - generated} real, {generated} generated")
    return prepared


def _train(prepared: Run, tracker: RunTracker) -> None:
    with _progress() as progress:
        train(prepared, tracker.following(progress))
    _console.print(f"best weights in {prepared.directory}")


@contextmanager
def _progress() -> Iterator[ProgressCall]:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f}%"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=_console) as bar:
        task = bar.add_task("training", total=1.0)
        yield lambda share, line: bar.update(task, completed=share, description=line)


@contextmanager
def _told() -> Iterator[None]:
    """Print an expected failure as one line and exit with 2, without a traceback."""
    try:
        yield
    except (TrainingError, PackageError) as error:
        _console.print(f"error: {error}", style="red")
        raise typer.Exit(2) from error
