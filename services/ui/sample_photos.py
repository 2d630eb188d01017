"""The repository's sample photos, with where they come from."""

import csv
from dataclasses import dataclass
from pathlib import Path

from shared.core.settings import REPOSITORY_ROOT

SAMPLES_DIR = REPOSITORY_ROOT / "data" / "samples"


@dataclass(frozen=True, slots=True)
class SamplePhoto:
    """One sample; `label` is what it truly is. Its bytes are read only when somebody sends it."""

    path: Path
    label: str
    generator: str
    licence: str
    attribution: str

    @property
    def name(self) -> str:
        """The file's name."""
        return self.path.name


def load_samples(directory: Path = SAMPLES_DIR) -> list[SamplePhoto]:
    """Return the samples that `samples.csv` lists and that are there; none without the list."""
    try:
        text = (directory / "samples.csv").read_text(encoding="utf-8")
    except OSError:
        return []
    listed = [
        SamplePhoto(
            path=directory / row["file"],
            label=row["label"],
            generator=row.get("generator", ""),
            licence=row.get("licence", ""),
            attribution=row.get("attribution", ""),
        )
        for row in csv.DictReader(text.splitlines())
    ]
    return [sample for sample in listed if sample.path.is_file()]
