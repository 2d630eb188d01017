"""`python -m services.training public`: from a public data set to a package of members."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from services.training.errors import TrainingError
from services.training.public.config import PublicConfig, load_public_config
from services.training.settings import TrainingSettings
from shared.core.settings import REPOSITORY_ROOT
from shared.ml.errors import PackageError

app = typer.Typer(
    help="Train on public data sets: for those with a GPU and the internet.",
    no_args_is_help=True,
    add_completion=False,
)
_console = Console(stderr=True, markup=False, highlight=False)

ConfigArgument = Annotated[
    Path, typer.Argument(metavar="CONFIG", help="YAML in services/training/configs/public.")
]
DataOption = Annotated[
    Path, typer.Option("--data", help="The data set's files, in its own layout.")
]
StoreOption = Annotated[
    Path | None, typer.Option("--store", help="The store; else DETECTOR_EYES_DIR/public/NAME.")
]
AcceptOption = Annotated[
    bool, typer.Option("--accept-non-commercial", help="Your use is not commercial.")
]
DownloadOption = Annotated[
    bool, typer.Option("--download", help="Fetch each shard from the hub when its turn comes.")
]
DiscardOption = Annotated[
    bool, typer.Option("--discard", help="With --download: remove each shard once it is read.")
]


@app.command()
def prepare(
    config: ConfigArgument,
    data: DataOption,
    store: StoreOption = None,
    accept: AcceptOption = False,
    download: DownloadOption = False,
    discard: DiscardOption = False,
) -> None:
    """Fill the training store; a run that was stopped goes on where it ended."""
    with _told():
        _prepare(_accepted(config, accept), data, store, download, discard)


@app.command(name="train")
def train_command(
    config: ConfigArgument, store: StoreOption = None, accept: AcceptOption = False
) -> None:
    """Train view and tiles on a filled store, and make the package."""
    with _told():
        _train(_accepted(config, accept), store)


@app.command()
def run(
    config: ConfigArgument,
    data: DataOption,
    store: StoreOption = None,
    accept: AcceptOption = False,
    download: DownloadOption = False,
    discard: DiscardOption = False,
) -> None:
    """Do both, prepare and train; what is done already is not repeated."""
    with _told():
        loaded = _accepted(config, accept)
        _prepare(loaded, data, store, download, discard)
        _train(loaded, store)


def _accepted(path: Path, accept: bool) -> PublicConfig:
    config = load_public_config(path)
    config.accept(non_commercial=accept)
    return config


def _prepare(
    config: PublicConfig, data: Path, store: Path | None, download: bool, discard: bool
) -> None:
    from services.training.public.fill import fill  # noqa: PLC0415 - Arrow only where it is needed
    from services.training.public.readers import reader_of  # noqa: PLC0415

    if discard and not download:
        raise TrainingError("--discard removes files of --data: it goes with --download only")
    reader = reader_of(config, data, download=download, discard=discard)
    fill(config, reader, _store(config, store), _say)


def _train(config: PublicConfig, store: Path | None) -> None:
    from services.training.public.train import train  # noqa: PLC0415 - torch only where it is used

    output = train(
        config, _store(config, store), REPOSITORY_ROOT / config.eyes.package.output, _say
    )
    if output:
        _say(f"measure it: python -m services.training evaluate {output}")
        _say(f"then register it: detector models register {output}")


def _store(config: PublicConfig, store: Path | None) -> Path:
    return store or TrainingSettings().require_eyes() / "public" / config.name


def _say(line: str) -> None:
    _console.print(line)


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except (TrainingError, PackageError) as error:
        _console.print(f"error: {error}")
        raise typer.Exit(2) from error
