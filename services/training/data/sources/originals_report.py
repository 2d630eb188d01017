"""What is there of the originals, and which repositories would bring the most of the rest."""

import json
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from services.training.data import terminal
from services.training.data.manifest import Record
from services.training.data.sources.fetch_originals import Found, Origin, from_git
from services.training.data.sources.originals import Coverage, Originals

# From this short side on, pixels, an original holds clearly more than its stored photo.
_NATIVE = 500
# Missing repositories, and photos of those that git could not read, that are named one by one.
_NAMED = 20


@dataclass(frozen=True, slots=True)
class Missing:
    """A repository with photos whose originals are not there; all counts are of these photos."""

    repository: str
    photos: int
    # With a short side of 500 px or more.
    native: int
    real: int
    ai_generated: int


@dataclass(frozen=True, slots=True)
class Report:
    """How many photos have their original, and who has the others, most useful first."""

    coverage: Coverage
    missing: tuple[Missing, ...]
    # Photos without an original that come from packages, which no repository will bring.
    from_packages: int

    def summary(self) -> dict[str, Any]:
        """Return the numbers as JSON values."""
        return {
            **self.coverage.summary(),
            "missing_from_packages": self.from_packages,
            "missing_repositories": [asdict(entry) for entry in self.missing],
        }


def make_report(records: Sequence[Record], originals: Originals) -> Report:
    """Count originals by split and class; order repositories by the native photos they lack."""
    lacking: defaultdict[str, list[Record]] = defaultdict(list)
    from_packages = 0
    for record in records:
        if originals.path(record) is None:
            if from_git(record):
                lacking[record.source_repo or ""].append(record)
            else:
                from_packages += 1
    entries = [_missing(name, photos) for name, photos in lacking.items()]
    entries.sort(key=lambda entry: (-entry.native, -entry.photos, entry.repository))
    return Report(originals.coverage(records), tuple(entries), from_packages)


def _missing(repository: str, photos: Sequence[Record]) -> Missing:
    native = sum(min(r.source_width or 0, r.source_height or 0) >= _NATIVE for r in photos)
    real = sum(record.label == "real" for record in photos)
    return Missing(repository, len(photos), native, real, len(photos) - real)


def tell_report(report: Report, file: Path | None) -> None:
    """Print the report, and write its numbers to `file` where one is given. Raises OSError."""
    shares = [
        (split, label, share.photos, share.originals, f"{share.originals / share.photos:.1%}")
        for split, classes in report.coverage.by_split.items()
        for label, share in classes.items()
    ]
    terminal.table(["split", "class", "photos", "originals", "share"], shares)
    if report.missing:
        terminal.table(
            ["missing from", "photos", f"≥ {_NATIVE} px", "real", "AI-generated"],
            [tuple(asdict(entry).values()) for entry in report.missing[:_NAMED]],
        )
    if len(report.missing) > _NAMED:
        more = "" if file else "; --json names all"
        terminal.line(f"and {len(report.missing) - _NAMED} repositories more{more}")
    if report.from_packages:
        terminal.line(f"{report.from_packages} photos without an original come from no repository")
    total = report.coverage.total
    terminal.line(f"{total.originals} of {total.photos} photos have their original")
    if file:
        file.write_text(json.dumps(report.summary(), indent=1) + "\n", encoding="utf-8")


def tell_fetched(found: Sequence[Found]) -> None:
    """Print how many originals were found where, and which repositories git could not read."""
    counts = Counter(entry.origin for entry in found)
    terminal.table(["original", "photos"], [(o.value, counts[o]) for o in Origin if counts[o]])
    for text in sorted({entry.detail for entry in found if entry.detail})[:_NAMED]:
        terminal.line(text, "red")
