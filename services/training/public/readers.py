"""The reader that a configuration names."""

from functools import partial
from pathlib import Path

from services.training.errors import TrainingError
from services.training.public.config import PublicConfig
from services.training.public.folders import GenImageReader
from services.training.public.hub import Hub
from services.training.public.parquet import (
    COMMUNITY_FORENSICS,
    OPENFAKE,
    ParquetReader,
    local_shards,
)
from services.training.public.records import Reader


def reader_of(
    config: PublicConfig, folder: Path, *, download: bool = False, discard: bool = False
) -> Reader:
    """Return the reader of the data set in `folder`.

    `download` lists the hub's files and fetches each when its turn comes; `discard` removes it
    after that. Raises TrainingError when the data set cannot be downloaded by this command.
    """
    data = config.data
    if data.reader == "genimage":
        if download:
            raise TrainingError(
                "GenImage is not on the hub: fetch its archives by the links of"
                " https://github.com/GenImage-Dataset/GenImage and unpack them"
            )
        return GenImageReader(folder, data.files, data.licence)
    layout = OPENFAKE if data.reader == "openfake" else COMMUNITY_FORENSICS
    if not download:
        names = partial(local_shards, folder, data.files)
        return ParquetReader(names, folder.joinpath, layout, data.licence)
    if data.repository is None:
        raise TrainingError(f"the configuration {config.name} names no repository to download")
    hub = Hub(data.repository, data.revision, data.files, folder)
    remove = hub.discard if discard else None
    return ParquetReader(hub.names, hub.open, layout, data.licence, remove)
