"""`detector data`: fetch, check, split and make the photos that training reads."""

import json
from collections import Counter
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from services.training.config import load_config
from services.training.data import terminal
from services.training.data.cache import Cache
from services.training.data.exclusions import EXCLUSIONS, read_exclusions, without_excluded
from services.training.data.manifest import MANIFEST, load_records
from services.training.data.photos import read_manifest, split_rows
from services.training.data.sample import SampleSpec, write_sample
from services.training.data.settings import DatasetSettings
from services.training.data.sources.fetch import Outcome, Result, fetch
from services.training.data.sources.fetch_originals import fetch_originals
from services.training.data.sources.http import HttpSource
from services.training.data.sources.http import Limits as HttpLimits
from services.training.data.sources.originals import Originals
from services.training.data.sources.originals_report import make_report, tell_fetched, tell_report
from services.training.data.splits import write_splits
from services.training.data.validation.report import write_report
from services.training.data.validation.validate import Limits, Validation, validate
from services.training.errors import TrainingError
from services.training.settings import TrainingSettings

app = typer.Typer(
    help="Fetch, check, split and make the photos that training reads.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)

_REPORTS = Path("data/reports")
# Missing photos that are named one by one; the rest is counted.
_NAMED = 20
_HTTP = HttpLimits()
_NEAR = Limits()

DatasetOption = Annotated[
    Path | None,
    typer.Option(
        "--dataset", help="Folder with manifest.csv [DETECTOR_DATASET_DIR, else the cache]."
    ),
]
ExclusionsOption = Annotated[Path, typer.Option(help="Photos that take no part, with the reason.")]
ManifestOption = Annotated[Path, typer.Option(help="The list of photos.")]
JsonOption = Annotated[
    Path | None, typer.Option("--json", help="File for the coverage by originals.")
]
JobsOption = Annotated[int, typer.Option(min=1, help="Photos at a time.")]


@app.command(name="fetch")
def fetch_command(
    manifest: ManifestOption = MANIFEST,
    exclusions: ExclusionsOption = EXCLUSIONS,
    cache: Annotated[
        Path | None, typer.Option(help="Where to [DETECTOR_DATASET_CACHE, data/cache].")
    ] = None,
    folders: Annotated[
        list[Path] | None,
        typer.Option(
            "--from", help="Folder with stored photos, asked first [DETECTOR_DATASET_SOURCES]."
        ),
    ] = None,
    offline: Annotated[bool, typer.Option("--offline", help="Ask no network.")] = False,
    jobs: JobsOption = 4,
    attempts: Annotated[int, typer.Option(min=1, help="Of each download.")] = _HTTP.attempts,
    from_git: Annotated[
        Path | None,
        typer.Option(
            help="Folder with git directories OWNER+NAME/repo: fetch the originals instead,"
            " into DETECTOR_ORIGINALS_DIR."
        ),
    ] = None,
    json_file: JsonOption = None,
) -> None:
    """Fill the cache from local folders and the public sources; goes on where it stopped.

    Exit code: 0 when every photo is there, 1 when some are missing. With --from-git the originals
    that were to be had are copied: 0 however many are missing, as stored photos stand in for them.
    """
    if from_git is not None:
        if folders or cache is not None:
            raise typer.BadParameter("--from and --cache are for stored photos, not originals")
        _fetch_from_git(manifest, exclusions, from_git, json_file)
        return
    if json_file is not None:
        raise typer.BadParameter("--json needs --from-git; see also `detector data coverage`")
    settings = DatasetSettings()
    target = cache or settings.cache()
    with terminal.told(), ExitStack() as stack:
        source = None
        if not offline:
            source = stack.enter_context(HttpSource(replace(_HTTP, attempts=attempts)))
        records = without_excluded(load_records(manifest), exclusions)
        tell = stack.enter_context(terminal.progress("photos"))
        results = fetch(records, Cache(target), folders or settings.sources(), source, jobs, tell)
    _tell_fetched(results, target)
    if any(result.outcome is Outcome.MISSING for result in results):
        raise typer.Exit(1)


def _tell_fetched(results: list[Result], target: Path) -> None:
    counts = Counter(result.outcome for result in results)
    terminal.table(["outcome", "photos"], [(o.value, counts[o]) for o in Outcome if counts[o]])
    missing = [result for result in results if result.outcome is Outcome.MISSING]
    for result in missing[:_NAMED]:
        source = result.record.source_url or "no source"
        terminal.line(f"{result.record.file}: {result.detail} ({source})", "red")
    if len(missing) > _NAMED:
        terminal.line(f"and {len(missing) - _NAMED} more")
    if missing:
        terminal.line(
            "Run the same command again: only missing photos are asked for. Photos whose source is"
            " gone can be had from a folder (--from), or be listed in data/exclusions.csv."
        )
    if counts[Outcome.REMADE]:
        terminal.line(
            f"{counts[Outcome.REMADE]} photos have the right source, but were encoded again by"
            " another Pillow or libjpeg: the data fingerprint differs from the shipped one's."
        )
    terminal.line(f"{len(results) - len(missing)} photos are listed in {target / 'manifest.csv'}")


def _fetch_from_git(manifest: Path, exclusions: Path, folder: Path, json_file: Path | None) -> None:
    with terminal.told():
        originals = Originals(DatasetSettings().require_originals())
        records = without_excluded(load_records(manifest), exclusions)
        with terminal.progress("originals") as tell:
            found = fetch_originals(records, folder, originals, tell)
        tell_fetched(found)
        tell_report(make_report(records, originals), json_file)


@app.command(name="coverage")
def coverage_command(
    manifest: ManifestOption = MANIFEST,
    exclusions: ExclusionsOption = EXCLUSIONS,
    json_file: JsonOption = None,
) -> None:
    """Tell how many photos have their original in DETECTOR_ORIGINALS_DIR, and who has the others.

    Files are not read again: each was named by its hash when it was stored.
    """
    with terminal.told():
        originals = Originals(DatasetSettings().require_originals())
        records = without_excluded(load_records(manifest), exclusions)
        tell_report(make_report(records, originals), json_file)


@app.command(name="validate")
def validate_command(
    dataset: DatasetOption = None,
    output: Annotated[Path, typer.Option(help="Folder of the report.")] = _REPORTS / "validation",
    exclusions: ExclusionsOption = EXCLUSIONS,
    distance: Annotated[
        int, typer.Option(min=0, max=64, help="Differing hash bits of a near duplicate, at most.")
    ] = _NEAR.distance,
    correlation: Annotated[
        float, typer.Option(min=-1, max=1, help="Correlation of its thumbnails, at least.")
    ] = _NEAR.correlation,
    jobs: JobsOption = 2,
) -> None:
    """Check the photos and write a report with pictures.

    Exit code: 0 when there are at most warnings, 1 on errors: rows that break the schema, files
    that are unreadable or altered, source groups cut by a split, one photo on two sides.
    """
    folder = _dataset(dataset)
    with terminal.told():
        excluded = read_exclusions(exclusions)
        with terminal.progress("photos") as tell:
            found = validate(folder, excluded, Limits(distance, correlation), jobs, tell)
        page = write_report(found, folder, output)
    _tell_validated(found, page)
    if found.errors:
        raise typer.Exit(1)


def _tell_validated(found: Validation, page: Path) -> None:
    counts = found.summary()["counts"]
    terminal.table(
        ["split", "real", "AI-generated"],
        [(split, c["real"], c["ai_generated"]) for split, c in counts.items()],
    )
    for style, lines in (("red", found.errors), ("yellow", found.warnings)):
        for text in lines[:_NAMED]:
            terminal.line(text, style)
        if len(lines) > _NAMED:
            terminal.line(f"and {len(lines) - _NAMED} more")
    terminal.line(f"{len(found.errors)} errors, {len(found.warnings)} warnings; see {page}")


@app.command(name="split")
def split_command(
    config: Annotated[Path, typer.Option("--config", help="YAML run configuration.")],
    dataset: DatasetOption = None,
    output: Annotated[Path, typer.Option(help="Folder of splits.csv and splits.json.")] = _REPORTS,
) -> None:
    """Write who trains, validates and tests under a configuration, and print the counts."""
    folder = _dataset(dataset)
    with terminal.told():
        data = load_config(config).data
        splits = split_rows(read_manifest(folder, data.extra_manifests), data)
        summary = write_splits(splits, folder, output)
    terminal.table(
        ["set", "real", "AI-generated", "sources", "generators"],
        [
            (
                name,
                c["real"],
                c["ai_generated"],
                c["real_sources"] + c["generated_sources"],
                c["generators"],
            )
            for name, c in summary.items()
        ],
    )


@app.command(name="sample")
def sample_command(
    folder: Annotated[Path, typer.Argument(help="A new or empty folder.")],
    seed: Annotated[int, typer.Option(help="The same seed gives the same photos.")] = 17,
    per_group: Annotated[int, typer.Option(min=1, help="Photos of each source.")] = 6,
    side: Annotated[int, typer.Option(min=32, help="Short side, pixels.")] = 96,
) -> None:
    """Make a small synthetic data set with all splits, to try training without photos."""
    with terminal.told():
        if folder.exists() and any(folder.iterdir()):
            raise TrainingError(f"{folder} is not empty; name a new folder")
        records = write_sample(folder, SampleSpec(seed, per_group, side))
    terminal.line(f"{len(records)} synthetic photos; export DETECTOR_DATASET_DIR={folder}")


@app.command(name="reconstruct")
def reconstruct_command(
    dataset: DatasetOption = None,
    output: Annotated[
        Path | None, typer.Option(help="Where to; training looks in the data set [--dataset].")
    ] = None,
    count: Annotated[int, typer.Option(min=1, help="Photos, evenly over their sources.")] = 1000,
    resize_short: Annotated[int, typer.Option(min=16, help="Short side at most, pixels.")] = 300,
) -> None:
    """Pass real training photos through a generator's autoencoder; goes on where it stopped.

    The partners differ from their photos only in what the decoder leaves behind. A run takes them
    in with `data.extra_manifests: [reconstructed.csv]` and a weight for `reconstructed` in
    `data.extra_splits`.
    """
    # torch takes seconds to import, which the other commands need not wait for.
    from services.training.fit.reconstruct import choose, reconstruct_all  # noqa: PLC0415
    from services.training.fit.taef2 import load_autoencoder  # noqa: PLC0415

    folder = _dataset(dataset)
    with terminal.told(), terminal.progress("photos") as tell:
        settings = TrainingSettings()
        names = ("taef2_encoder.pth", "taef2_decoder.pth")
        autoencoder = load_autoencoder(*(settings.require_weights(name) for name in names))
        rows = choose(without_excluded(read_manifest(folder)), count)
        path = reconstruct_all(rows, autoencoder, output or folder, resize_short, tell)
    terminal.line(json.dumps({"photos": len(rows), "manifest": str(path)}))


def _dataset(option: Path | None) -> Path:
    """Return the data set's folder: the option, else the setting, else the cache."""
    return option or TrainingSettings().dataset_dir or DatasetSettings().cache()
