"""A reference from the evaluation in a model package, weighted to look like traffic."""

from io import BytesIO
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from services.drift.analysis.counts import LABELS, Counts, Cube, sums_at
from services.drift.reference.frozen import BINS, NoReference, as_payload
from services.drift.statistics.outcome import FloatArray
from shared.contracts.drift import ReferenceSource
from shared.contracts.states import Label
from shared.db.drift.counts import Binning, Calibration
from shared.db.drift.references import NewReference
from shared.ml.evaluation_photos import EvaluationPhotos, read_photos
from shared.ml.postprocess import Judgement, judge, needs_second_look, settle
from shared.ml.spec import ModelManifest


def from_evaluation(
    manifest: ModelManifest, content: bytes, ai_share: float, request_id: UUID
) -> NewReference:
    """Return the reference that a package's evaluation_photos.npz makes.

    Its verdicts are made again with `manifest`'s rule. `ai_share` is the assumed share of
    AI-generated photos in the traffic.

    Raises NoReference when a class is missing, or PackageError when the file cannot be read.
    """
    photos = read_photos(BytesIO(content))
    weights = share_weights(photos.label, ai_share)
    logits = photos.logit.astype(np.float64)
    edges = weighted_edges(logits, weights, BINS)
    calibration = Calibration(manifest.calibration.temperature, manifest.calibration.bias)
    counts = weighted_counts(logits, weights, edges, judged_again(photos, manifest))
    cube = Cube(len(edges) + 1, {None: {None: counts}}, common=True)
    return NewReference(
        model_version=manifest.version,
        source=ReferenceSource.EVALUATION,
        window_start=None,
        window_end=None,
        photos=len(photos),
        payload=as_payload(Binning(edges, calibration, []), cube, None),
        # Which goods they show says as little of the traffic as their files do.
        embeddings=None,
        request_id=request_id,
    )


def share_weights(labels: NDArray[np.uint8], ai_share: float) -> FloatArray:
    """Return weights `[N]` of sum N that give the AI-generated photos `ai_share` of it.

    Within a class photos count alike. Raises NoReference when a class with a share has no photo.
    """
    weights = np.zeros(len(labels))
    for label, share in ((0, 1 - ai_share), (1, ai_share)):
        own = labels == label
        if share > 0 and not own.any():
            kind = "AI-generated" if label else "real"
            raise NoReference(f"the evaluation has no {kind} photo")
        if own.any():
            weights[own] = share * len(labels) / own.sum()
    return weights


def effective_size(weights: FloatArray) -> float:
    """Return Kish's effective sample size (1965): equal weights count one each, others less."""
    return float(weights.sum() ** 2 / np.sum(weights**2))


def weighted_edges(logits: FloatArray, weights: FloatArray, bins: int) -> list[float]:
    """Return the logits that cut the weight into `bins` even parts; fewer where tied.

    With equal weights they are PostgreSQL's percentile_disc, as of a production window.
    """
    order = np.argsort(logits, kind="stable")
    below = np.cumsum(weights[order])
    at = np.arange(1, bins) / bins * below[-1]
    # A sum of equal parts misses its own quantile by the last digit.
    places = np.searchsorted(below, at * (1 - 1e-12))
    return sorted(set(logits[order][places].tolist()))


def judged_again(photos: EvaluationPhotos, manifest: ModelManifest) -> list[Judgement]:
    """Return each photo's verdict by `manifest`'s rule, second looks included."""
    return [
        _judged(float(first), float(second), manifest)
        for first, second in zip(photos.logit, photos.second_logit, strict=True)
    ]


def _judged(logit: float, second: float, manifest: ModelManifest) -> Judgement:
    judgement = judge(logit, manifest)
    if needs_second_look(judgement, manifest) and np.isfinite(second):
        return settle(judgement, second, manifest)
    return judgement


def weighted_counts(
    logits: FloatArray, weights: FloatArray, edges: list[float], judged: list[Judgement]
) -> Counts:
    """Return the counts of photos that weigh `weights` `[N]`, binned at `edges` `[B - 1]`."""
    bins = np.searchsorted(edges, logits, side="right")
    places = np.array([LABELS.index(Label(each.label)) for each in judged])
    p = np.array([each.probability for each in judged])
    # As verdicts are counted: of the likelier side.
    sure = np.maximum(p, 1 - p)
    labels = len(LABELS) + 1
    return Counts(
        bins=sums_at(bins, weights, len(edges) + 1),
        logits=sums_at(bins, weights * logits, len(edges) + 1),
        labels=sums_at(places, weights, labels),
        label_p=sums_at(places, weights * p, labels),
        sums=np.array([np.sum(weights * each) for each in (p, p**2, sure, sure**2)]),
        independent=effective_size(weights),
        reused=0.0,
    )
