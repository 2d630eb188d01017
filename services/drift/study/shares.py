"""The evaluation as a reference: at which true shares of AI-generated photos is it suspicious?"""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np

from services.drift.analysis.counts import Cube
from services.drift.analysis.window import Rules, Window, analyse
from services.drift.reference.evaluation import (
    from_evaluation,
    judged_again,
    share_weights,
    weighted_counts,
)
from services.drift.reference.frozen import Reference, thaw
from shared.contracts.drift import Severity
from shared.db.drift.counts import Span
from shared.db.models import DriftReference
from shared.ml.errors import PackageError
from shared.ml.evaluation_photos import EvaluationPhotos, read_photos
from shared.ml.package import ModelPackage, load_package
from shared.ml.spec import ModelManifest

ASSUMED = 0.05
_TRUE = (0.0, 0.02, 0.05, 0.08, 0.10, 0.12, 0.15)
_PHOTOS = 4000
_NOBODY = UUID(int=0)
_START = datetime(2026, 1, 5, tzinfo=UTC)


def measure_shares(model_dir: Path, windows: int, seed: int) -> dict[str, Any]:
    """Return how many of `windows` windows are suspicious, by the true share of AI-generated ones.

    A window's photos are drawn from the evaluation, with replacement. Raises PackageError when the
    package has no evaluation photo by photo.
    """
    package = load_package(model_dir)
    if package.evaluation_photos is None:
        raise PackageError(f"{model_dir} has no evaluation photo by photo")
    photos = read_photos(package.evaluation_photos)
    reference = _reference(package)
    found = []
    for share in _TRUE:
        rng = np.random.default_rng([seed, round(1000 * share)])
        suspicious = sum(
            _is_suspicious(photos, package.manifest, reference, share, rng) for _ in range(windows)
        )
        found.append({"share": share, "windows": windows, "suspicious": suspicious})
    return {
        "evaluation": {
            "assumed": ASSUMED,
            "photos": len(photos),
            "independent": reference.facts.independent,
            "window_photos": _PHOTOS,
            "found": found,
        },
        "model_version": package.manifest.version,
    }


def _reference(package: ModelPackage) -> Reference:
    assert package.evaluation_photos is not None  # noqa: S101  # looked at by the caller
    new = from_evaluation(
        package.manifest, package.evaluation_photos.read_bytes(), ASSUMED, _NOBODY
    )
    row = DriftReference(
        id=_NOBODY,
        model_version=new.model_version,
        source=new.source.value,
        photos=new.photos,
        payload=new.payload,
        request_id=_NOBODY,
    )
    return thaw(row)


def _is_suspicious(
    photos: EvaluationPhotos,
    manifest: ModelManifest,
    reference: Reference,
    share: float,
    rng: np.random.Generator,
) -> bool:
    weights = share_weights(photos.label, share)
    rows = rng.choice(len(photos), _PHOTOS, p=weights / weights.sum())
    judged = judged_again(photos, manifest)
    edges = list(reference.binning.edges)
    counts = weighted_counts(
        photos.logit[rows].astype(np.float64),
        np.ones(_PHOTOS),
        edges,
        [judged[row] for row in rows],
    )
    cube = Cube(len(edges) + 1, {None: {None: counts}})
    span = Span(manifest.version, _START, _START + timedelta(hours=1))
    results = analyse(reference, Window(span, cube, {}), {}, Rules(), rng)
    return results[0].report.window_severity is not Severity.NONE
