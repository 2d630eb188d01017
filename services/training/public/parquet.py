"""Data sets in the hub's own form: Parquet shards with a column of image files.

Images come as bytes, or as the struct of `bytes` and `path` that `datasets` writes. A shard is read
in small batches within one row group at a time, so memory stays bounded whatever its size.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pyarrow as pa
from pyarrow import parquet

from services.training.errors import TrainingError
from services.training.public.records import REAL, Record, Skip, mixed

# Rows decoded together: a hundred megabytes where photos are large PNGs.
_BATCH = 32
# Turns a shard's name into a file on this machine.
Opener = Callable[[str], Path]


@dataclass(frozen=True, slots=True)
class Layout:
    """Which column says what. `labels` are the values of the label's column, 1 AI-generated."""

    image: str
    label: str
    generator: str
    labels: Mapping[object, int]
    # Names where a real photo comes from; its rows have no generator.
    real_source: str
    # Column and value that a row must have, such as its split.
    only: tuple[str, str] | None = None

    @property
    def columns(self) -> list[str]:
        """All columns that are read, each once."""
        names = [self.image, self.label, self.generator, self.real_source]
        return list(dict.fromkeys([*names, *([self.only[0]] if self.only else [])]))


# The data set's card: image (struct), prompt, label "real" or "fake", model, type, release_date.
OPENFAKE = Layout(
    image="image",
    label="label",
    generator="model",
    labels=MappingProxyType({"real": 0, "fake": 1}),
    real_source="model",
)
# The card: image_name, format, resolution, mode, image_data (binary), model_name, nsfw_flag,
# prompt, real_source, subset, split, label (1 fake, 0 real), architecture.
COMMUNITY_FORENSICS = Layout(
    image="image_data",
    label="label",
    generator="model_name",
    labels=MappingProxyType({0: 0, 1: 1}),
    real_source="real_source",
    only=("split", "train"),
)


class ParquetReader:
    """Rows of Parquet shards under one layout; see `records.Reader`."""

    def __init__(
        self,
        names: Callable[[], list[str]],
        opener: Opener,
        layout: Layout,
        licence: str,
        discard: Callable[[str], None] | None = None,
    ) -> None:
        """`names` lists the shards, `opener` finds or fetches one, `discard` may remove it."""
        self._names, self._open, self._discard = names, opener, discard
        self._layout, self._licence = layout, licence

    def shards(self) -> list[str]:
        """Return all shards, mixed."""
        return mixed(self._names())

    def read(self, shard: str, start: int = 0) -> Iterator[Record | Skip]:
        """Yield the rows of `shard` from number `start` on."""
        path = self._open(shard)
        try:
            with parquet.ParquetFile(path, memory_map=True) as file:
                self._check(path, file.schema_arrow.names)
                yield from self._rows(file, shard, start)
        except (OSError, pa.ArrowInvalid) as error:
            raise TrainingError(
                f"{path} cannot be read as Parquet ({error}). Remove it and fetch it again."
            ) from error

    def done(self, shard: str) -> None:
        """Remove the shard's file where it was only fetched to be read."""
        if self._discard:
            self._discard(shard)

    def _check(self, path: Path, names: list[str]) -> None:
        missing = [name for name in self._layout.columns if name not in names]
        if missing:
            raise TrainingError(
                f"{path} lacks the columns {missing}; it has {names}."
                " Is it a shard of the data set that the configuration names?"
            )

    def _rows(self, file: parquet.ParquetFile, shard: str, start: int) -> Iterator[Record | Skip]:
        number = 0
        for group in range(file.num_row_groups):
            count = file.metadata.row_group(group).num_rows
            if number + count <= start:
                number += count
                continue
            columns = self._layout.columns
            for batch in file.iter_batches(_BATCH, row_groups=[group], columns=columns):
                for index in range(len(batch)):
                    number += 1
                    if number > start:
                        row = {name: batch.column(name)[index] for name in columns}
                        yield self._record(row, shard)

    def _record(self, row: dict[str, Any], shard: str) -> Record | Skip:
        layout = self._layout
        plain = {name: value.as_py() for name, value in row.items() if name != layout.image}
        label = layout.labels.get(_normal(plain[layout.label]))
        data = _image_bytes(row[layout.image].as_py())
        if layout.only and _normal(plain[layout.only[0]]) != layout.only[1]:
            return Skip.OTHER_SPLIT
        if label is None or not data:
            return Skip.UNREADABLE
        origin = str(plain[layout.generator if label else layout.real_source] or "unnamed")
        return Record(
            data=data,
            label=label,
            generator=origin if label else REAL,
            source=f"{origin if label else f'{REAL}/{origin}'}/{Path(shard).stem}",
            licence=self._licence,
        )


def _normal(value: object) -> object:
    return value.strip().lower() if isinstance(value, str) else value


def _image_bytes(value: object) -> bytes:
    """Return the file in an image column's value; a struct without bytes has only a name."""
    if isinstance(value, dict):
        value = value.get("bytes")
    return value if isinstance(value, bytes) else b""


def local_shards(folder: Path, patterns: tuple[str, ...]) -> list[str]:
    """Return the files below `folder` that fit a pattern, as relative names.

    Raises TrainingError when there is none.
    """
    names = {
        path.relative_to(folder).as_posix()
        for pattern in patterns
        for path in folder.glob(pattern)
        if path.is_file()
    }
    if not names:
        raise TrainingError(
            f"{folder} has no file like {' or '.join(patterns)}."
            " Copy the data set there in its own layout, or add --download."
        )
    return sorted(names)
