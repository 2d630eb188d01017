"""Which photos the second edition is judged on, and which generators count as never seen."""

import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.training.data.exclusions import EXCLUSIONS, without_excluded
from services.training.data.photos import read_lines
from services.training.errors import TrainingError
from services.training.eyes.store import Item, choose_items

# Photos that one repository may have in a split and class: a large shop is one shop.
CAP = 12
SOURCE, GENERATOR = "test_unseen_source", "test_unseen_generator"
# Photos of the split `test_unseen_generator` whose family is in training after all.
KNOWN = "test_known_generator"
SPLITS = (SOURCE, GENERATOR, KNOWN)
# Splits of the manifest whose generators a package may have seen.
TRAINED = ("train", "val", "more")
UNKNOWN = "unknown"

# The first that is found in a lower-case name decides. A model under another's roof is the model
# ("Flux Dev via Leonardo"); a site builder that does not name its model is a family of its own.
_FAMILIES = tuple(
    (re.compile(pattern), family)
    for pattern, family in (
        (r"^$|^unknown|^brockwebb", UNKNOWN),
        (r"craiyon|dall-?e[- ]?mini|dall-?e[- ]mega", "craiyon"),
        (r"gpt-?image|gpt-4o|chatgpt|openai image", "gpt-image"),
        (r"dall-?e", "dall-e"),
        (r"imagen-pytorch", "imagen-pytorch"),
        (r"flux", "flux"),
        (r"leonardo", "leonardo"),
        (r"^lovable", "lovable"),
        (r"^replit", "replit"),
        (r"^v0\b", "v0"),
        (r"midjourney", "midjourney"),
        (r"nano-?\s?banana|gemini|imagen\b|imagefx|google", "google"),
        (r"latent-diffusion", "latent-diffusion"),
        (r"stable[-_ ]?cascade|wuerstchen", "stable-cascade"),
        (r"stable[-_ ]?diffusion|realvis|juggernaut|cat_with_sd", "stable-diffusion"),
        (r"\bsd[-_ ]?\d|\bsdxl|sdturbo|sycl_sd|sd15|^sd\b", "stable-diffusion"),
        (r"^gan\b", "gan"),
        (r"hunyuan", "hunyuan"),
        (r"z-image", "z-image"),
        (r"bria|fibo", "bria"),
    )
)
# Programs that name what they ran.
_RUNNERS = re.compile(r"^(sdcpp|comfyui|sdnext):")


def family_of(generator: str) -> str:
    """Return the family of a generator as a manifest names it, lower case.

    Versions, tunings and hosts of a model are one family; all of Stability's diffusion models are
    one, and all of Google's. A name that no rule knows gives its first word, an empty or `unknown…`
    one UNKNOWN.
    """
    name = _RUNNERS.sub("", generator.strip().lower())
    for pattern, family in _FAMILIES:
        if pattern.search(name):
            return family
    return re.split(r"[^a-z]+", name.lstrip("0123456789"), maxsplit=1)[0] or UNKNOWN


def trained_families(manifest: Path, splits: Sequence[str] = TRAINED) -> frozenset[str]:
    """Return the families of the generated photos in `splits`. Raises TrainingError."""
    return frozenset(
        family_of(line["generator"])
        for line in read_lines(manifest)
        if line["label"] == "ai_generated" and line["split"] in splits
    )


@dataclass(frozen=True, slots=True)
class PhotoSet:
    """The photos, each once, and what is judged together."""

    items: tuple[Item, ...]
    # Indices into `items`, int64, by split.
    splits: dict[str, NDArray[np.int64]]
    # By the manifest's split and class: photos listed, at hand as originals, and judged.
    coverage: dict[str, dict[str, dict[str, int]]]

    @property
    def labels(self) -> NDArray[np.int64]:
        """The labels, int64 `[N]`, 1 for AI-generated."""
        return np.array([item.label for item in self.items], dtype=np.int64)

    @property
    def sources(self) -> list[str]:
        """Each photo's repository."""
        return [item.repository for item in self.items]

    @property
    def kinds(self) -> list[str]:
        """The family of a generated photo, the category of a real one."""
        return [
            family_of(item.generator) if item.label else item.category or "other"
            for item in self.items
        ]

    def only(self, kept: NDArray[np.bool_]) -> "PhotoSet":
        """Return the set without the photos where `kept` bool `[N]` is false."""
        place = np.cumsum(kept) - 1
        items = tuple(item for item, keep in zip(self.items, kept, strict=True) if keep)
        splits = {name: place[index[kept[index]]] for name, index in self.splits.items()}
        return PhotoSet(items, splits, self.coverage)


def originals_set(manifest: Path, dataset: Path, originals: Path) -> PhotoSet:
    """Return the headline's photos: at most CAP of a repository, their originals at hand.

    Raises TrainingError when the manifest cannot be read or a class has no original.
    """
    every = _chosen(manifest, dataset, originals, len(read_lines(manifest)))
    items = [item for item in _chosen(manifest, dataset, originals, CAP) if item.is_original]
    found = _test_set(items, manifest, _coverage(every, items))
    for label, word in ((0, "real"), (1, "generated")):
        if label not in {item.label for item in found.items}:
            raise TrainingError(
                f"{originals} has no original of a {word} test photo: fetch originals"
                " (docs/data.md) and set DETECTOR_ORIGINALS_DIR to their folder"
            )
    return found


def views_set(manifest: Path, dataset: Path) -> PhotoSet:
    """Return at most CAP stored views of each repository: the same on every machine.

    Raises TrainingError when the manifest cannot be read.
    """
    absent = dataset / "no-originals"
    items = _chosen(manifest, dataset, absent, CAP)
    return _test_set(items, manifest, _coverage(items, items))


def _chosen(manifest: Path, dataset: Path, originals: Path, cap: int) -> list[Item]:
    items = choose_items(manifest, dataset, originals, cap, (SOURCE, GENERATOR))
    return without_excluded(items, EXCLUSIONS)


def _test_set(
    items: Sequence[Item], manifest: Path, coverage: dict[str, dict[str, dict[str, int]]]
) -> PhotoSet:
    seen = trained_families(manifest)
    of: dict[str, list[int]] = {name: [] for name in SPLITS}
    for index, item in enumerate(items):
        family = family_of(item.generator)
        if item.split == SOURCE:
            of[SOURCE].append(index)
        elif item.label:
            # A name that tells nothing is no new generator.
            of[KNOWN if family in seen or family == UNKNOWN else GENERATOR].append(index)
        if item.split == SOURCE and item.label == 0:
            of[GENERATOR].append(index)
            of[KNOWN].append(index)
    return PhotoSet(
        tuple(items), {name: np.array(part, dtype=np.int64) for name, part in of.items()}, coverage
    )


def _coverage(
    listed: Iterable[Item], judged: Iterable[Item]
) -> dict[str, dict[str, dict[str, int]]]:
    found: dict[str, dict[str, dict[str, int]]] = {}
    for name, items in (("listed", listed), ("judged", judged)):
        for item in items:
            word = "ai_generated" if item.label else "real"
            numbers = found.setdefault(item.split, {}).setdefault(
                word, {"listed": 0, "originals": 0, "judged": 0}
            )
            numbers[name] += 1
            numbers["originals"] += name == "listed" and item.is_original
    return found


def fingerprint(test_set: PhotoSet) -> str:
    """Return a SHA-256 over the photos: files, labels, splits, sources and originals at hand."""
    lines: list[Any] = [
        (item.sha256, item.label, item.split, item.repository, item.is_original)
        for item in test_set.items
    ]
    return hashlib.sha256(repr(sorted(lines)).encode()).hexdigest()
