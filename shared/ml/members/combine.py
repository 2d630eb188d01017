"""The members' logits to the package's, and which photos need their tiles looked at."""

import numpy as np
from numpy.typing import NDArray

from shared.ml.spec import ModelManifest

Logits = NDArray[np.float32]
Mask = NDArray[np.bool_]


def tiles_matter(view: Logits, manifest: ModelManifest) -> Mask:
    """Return which photos the tiles are looked at for, bool `[N]`, by the view's logits `[N]`.

    All of them without a cascade, and those whose view gave no number: their fault must show.
    """
    cascade = manifest.cascade
    if cascade is None:
        return np.ones(len(view), np.bool_)
    return ~((view < cascade.below) | (view > cascade.above))


def combined(view: Logits, tiles: Logits, seen: Mask, manifest: ModelManifest) -> Logits:
    """Return the package's logits, float32 `[N]`.

    Each member counts within its limit, times its weight. `tiles` is read where `seen`; elsewhere
    the cascade's line stands in for it.
    """
    counted: dict[str, NDArray[np.float64]] = {
        "view": view.astype(np.float64),
        "tiles": tiles.astype(np.float64),
    }
    cascade = manifest.cascade
    if cascade is not None:
        stand_in = cascade.slope * counted["view"] + cascade.intercept
        counted["tiles"] = np.where(seen, counted["tiles"], stand_in)
    total = np.zeros(len(view))
    for member in manifest.members:
        logits = counted[member.name]
        # An infinite logit is a fault, which the limit must not hide.
        logits = np.where(np.isfinite(logits), logits, np.nan)
        total += np.clip(logits, -member.limit, member.limit) * member.weight
    return total.astype(np.float32)


def pull_factor(logit: float, limit: float) -> float:
    """Return what share of a member's pulls counts, as its logit counts within `limit` alone."""
    return 1.0 if abs(logit) <= limit else limit / abs(logit)
