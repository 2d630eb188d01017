"""GenImage's layout: GENERATOR/{train,val}/{ai,nature}/, unpacked from its archives.

The archives put another folder between the generator and `train`
(`stable_diffusion_v_1_4/imagenet_ai_0419_sdv4/train`); it may be there or not. A file's name starts
with its ImageNet class (`208_midjourney_76.png`, `n01440764_10026.JPEG`). A class of a generator
is a source: so no class of photos is both learnt and held out.
"""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from services.training.errors import TrainingError
from services.training.public.records import REAL, Record, Skip, mixed

LABELS = {"ai": 1, "nature": 0}
_IMAGES = (".jpg", ".jpeg", ".png", ".webp", ".bmp")
# Folders between the root and `train`.
_DEEPEST = 2


class GenImageReader:
    """The folders `ai` and `nature` below `root` as shards; see `records.Reader`."""

    def __init__(self, root: Path, splits: Sequence[str], licence: str) -> None:
        self._root, self._splits, self._licence = root, splits, licence

    def shards(self) -> list[str]:
        """Return the folders of all generators, mixed."""
        found = [
            folder.relative_to(self._root).as_posix()
            for depth in range(1, _DEEPEST + 1)
            for split in self._splits
            for label in LABELS
            for folder in self._root.glob("/".join(["*"] * depth + [split, label]))
            if folder.is_dir()
        ]
        if not found:
            raise TrainingError(
                f"{self._root} has no folder like GENERATOR/{self._splits[0]}/ai."
                " Unpack GenImage's archives there, a folder for each generator."
            )
        return mixed(found)

    def read(self, shard: str, start: int = 0) -> Iterator[Record | Skip]:
        """Yield the files of a folder from number `start` on, in an order by their hashes."""
        folder = self._root / shard
        if not folder.is_dir():
            raise TrainingError(f"the folder {folder} has gone: bring it back to go on")
        parts = Path(shard).parts
        for name in mixed(list(_images(folder)))[start:]:
            yield self._record(folder / name, parts[0], LABELS[parts[-1]])

    def done(self, shard: str) -> None:
        """Keep the folder: it was not fetched by this command."""

    def _record(self, path: Path, generator: str, label: int) -> Record | Skip:
        try:
            data = path.read_bytes()
        except OSError:
            return Skip.UNREADABLE
        group = path.name.split("_")[0]
        return Record(
            data=data,
            label=label,
            generator=generator if label else REAL,
            source=f"{generator}/{group}" if label else f"{REAL}/{generator}/{group}",
            licence=self._licence,
        )


def _images(folder: Path) -> Iterator[str]:
    """Yield relative names; only names are held, a few ten thousand a folder."""
    for where, _folders, files in os.walk(folder):
        for name in files:
            if name.lower().endswith(_IMAGES):
                yield (Path(where) / name).relative_to(folder).as_posix()
