"""What the engines of packages of members share: precisions, and one photo's evidence."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from services.worker.engines.port import (
    Embeddings,
    Evidence,
    Explained,
    Images,
    Logits,
    Predictions,
    no_precision,
)
from shared.ml.members.combine import combined, pull_factor, tiles_matter
from shared.ml.package import ModelPackage
from shared.ml.precision import TOLERANCES, NoPrecisionError, Precision, choose
from shared.ml.spec import ModelManifest


def member_precisions(
    package: ModelPackage, supported: Sequence[Precision], wanted: Precision | None
) -> dict[str, Precision]:
    """Return what each member is computed in, by its name.

    `wanted` where a member lists it, which one of them must; else the first of its list that is
    `supported` here. Raises PackageError or NoEngineError, which say what to set.
    """
    members = package.manifest.members
    listing = [member for member in members if wanted in member.precisions]
    chosen: dict[str, Precision] = {}
    for member in members:
        own = wanted if member in listing or not listing else None
        try:
            chosen[member.name] = choose(member.precisions, supported, own)
        except NoPrecisionError as error:
            raise no_precision(package, error) from error
    return chosen


def coarsest(precisions: Mapping[str, Precision]) -> Precision:
    """Return the precision of the member that may differ most: the whole package's, in a word."""
    return max(precisions.values(), key=lambda each: TOLERANCES[each].logit)


def judged(
    stacks: Images,
    manifest: ModelManifest,
    view: Logits,
    embeddings: Embeddings,
    look_at_tiles: Callable[[Images], Logits],
) -> Predictions:
    """Return what both members say of `stacks` uint8 `[N, 1 + K, S, S, 3]`.

    `look_at_tiles` turns tiles uint8 `[M, K, S, S, 3]` of M photos into their logits `[M]`; it is
    called once, and only where some photo needs it.
    """
    seen = tiles_matter(view, manifest)
    tiles = np.full(len(view), np.nan, np.float32)
    if seen.any():
        tiles[seen] = look_at_tiles(stacks[seen, 1:])
    logits = combined(view, tiles, seen, manifest)
    return Predictions(logits, embeddings, view=view, tiles=tiles, tiles_seen=seen)


def explained(
    predictions: Predictions, view: Evidence, tiles: Evidence | None, manifest: ModelManifest
) -> Explained:
    """Return the evidence of one photo in the package's own logits.

    `view` `[g, g]`, whose sum is the member's, and `tiles` `[K, h, w]`, whose means are each
    tile's; None where the cascade left them out.
    """
    if predictions.view is None or predictions.tiles is None:
        raise ValueError("the predictions are not those of members")
    member = manifest.member("view")
    factor = member.weight * pull_factor(float(predictions.view[0]), member.limit)
    maps = [view * np.float32(factor * view.size)]
    if tiles is not None:
        member = manifest.member("tiles")
        factor = member.weight * pull_factor(float(predictions.tiles[0]), member.limit)
        maps += [each * np.float32(factor / len(tiles)) for each in tiles]
    return Explained(float(predictions.logits[0]), tuple(maps))
