"""`python -m services.training eyes`: from originals to a package of members, step by step."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from numpy.typing import NDArray
from rich.console import Console

from services.training.data.manifest import MANIFEST
from services.training.data.settings import DatasetSettings
from services.training.errors import TrainingError
from services.training.eyes.config import EyesConfig, load_eyes_config
from services.training.eyes.run import (
    Eyes,
    package,
    pretrained_stages,
    pretrained_view,
    run_fold,
    run_whole,
)
from services.training.eyes.store import DONE, STACKS, build, choose_items, grow
from services.training.eyes.tile_features import compute_statistics
from services.training.eyes.tokens import compute_tokens
from services.training.eyes.workspace import STATISTICS, open_workspace
from services.training.settings import TrainingSettings
from shared.core.settings import REPOSITORY_ROOT
from shared.ml.errors import PackageError
from shared.ml.members.weights import Floats, State, dequantised

ENCODER = "clip_encoder.int8.onnx"
DEFAULT = REPOSITORY_ROOT / "services" / "training" / "configs" / "eyes.yaml"

app = typer.Typer(
    help="Train the eyes: a CLIP view and native tiles.", no_args_is_help=True, add_completion=False
)
_console = Console(stderr=True, markup=False, highlight=False)

ConfigOption = Annotated[Path, typer.Option("--config", help="YAML configuration of the eyes.")]
ManifestOption = Annotated[Path, typer.Option(help="The manifest that lists the photos.")]


@app.command()
def store(
    config: ConfigOption = DEFAULT,
    workers: int = 2,
    manifest: ManifestOption = MANIFEST,
    older: Annotated[
        Path | None, typer.Option(help="An older store: what it has of the same photos is taken.")
    ] = None,
) -> None:
    """Decode the photos once, into views and native tiles."""
    with _told():
        loaded, settings = load_eyes_config(config), TrainingSettings()
        dataset, folder = settings.require_dataset(), settings.require_eyes()
        originals = DatasetSettings().require_originals()
        splits = (*loaded.learn, *loaded.untouched)
        items = choose_items(manifest, dataset, originals, loaded.cap, splits)
        have = sum(item.is_original for item in items)
        _say(f"{len(items)} photos, {have} of them from their originals")
        if older is not None:
            found = grow(items, folder, loaded.spec, older)
            _say(f"{found} of them are taken from {older}")
        build(items, folder, loaded.spec, workers, _say)


@app.command()
def tokens(config: ConfigOption = DEFAULT) -> None:
    """Compute the trunk's tokens of every view."""
    with _told():
        loaded, folder = load_eyes_config(config), TrainingSettings().require_eyes()
        stacks, ready = _stacks(folder, loaded)
        upper = tuple(f"blocks.{n}." for n in range(loaded.trunk_blocks, loaded.blocks))
        whole = dequantised(_pretrained(loaded))
        trunk = {key: value for key, value in whole.items() if not key.startswith(upper)}
        compute_tokens(stacks, ready, trunk, folder, _say)


@app.command()
def statistics(config: ConfigOption = DEFAULT) -> None:
    """Compute the statistics of every tile."""
    with _told():
        loaded, folder = load_eyes_config(config), TrainingSettings().require_eyes()
        stacks, ready = _stacks(folder, loaded)
        compute_statistics(stacks, ready, _stages(loaded), folder / STATISTICS, _say)


@app.command()
def folds(config: ConfigOption = DEFAULT) -> None:
    """Train each fold and judge the repositories that it has not seen; then all, where asked."""
    with _told():
        eyes = _eyes(load_eyes_config(config))
        for number in range(eyes.config.folds):
            run_fold(eyes, number, _say)
        if eyes.config.whole:
            run_whole(eyes, _say)


@app.command(name="package")
def package_command(config: ConfigOption = DEFAULT) -> None:
    """Join the folds, choose the operating points and write the package."""
    with _told():
        eyes = _eyes(load_eyes_config(config))
        output = REPOSITORY_ROOT / eyes.config.package.output
        manifest = package(eyes, output, _say)
        _say(f"packaged {manifest.name} {manifest.version} in {output}")


@app.command()
def run(config: ConfigOption = DEFAULT) -> None:
    """Do everything, from originals to a package; what is done already is not repeated."""
    store(config)
    tokens(config)
    statistics(config)
    folds(config)
    package_command(config)


def _eyes(config: EyesConfig) -> Eyes:
    folder = TrainingSettings().require_eyes()
    return Eyes(
        config=config,
        space=open_workspace(folder),
        pretrained=_pretrained(config),
        stages=_stages(config),
        folder=folder / config.package.version,
    )


def _stacks(folder: Path, config: EyesConfig) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Return the store's arrays, and which versions of its photos are to be looked at `[N, V]`."""
    if not (folder / STACKS).is_file():
        raise TrainingError(f"{folder} has no training store: run `eyes store` first")
    stacks, done = np.load(folder / STACKS, mmap_mode="r"), np.load(folder / DONE)
    ready = np.repeat(done[:, None], stacks.shape[1], axis=1)
    # The store is in the order of the photos' hashes: its first part is a part by chance.
    ready[round(config.degraded_share * len(ready)) :, 1:] = False
    return stacks, ready


def _pretrained(config: EyesConfig) -> State:
    return pretrained_view(TrainingSettings().require_weights(ENCODER), config)


def _stages(config: EyesConfig) -> Floats:
    return pretrained_stages(TrainingSettings().require_weights(config.tiles_weights))


def _say(line: str) -> None:
    _console.print(line)


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except (TrainingError, PackageError) as error:
        _console.print(f"error: {error}")
        raise typer.Exit(1) from error
