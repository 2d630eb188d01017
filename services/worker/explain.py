"""The heatmap of one photo, by the engine that judged it."""

from services.worker.engines.port import Engine
from shared.core.errors import DetectorError
from shared.ml import heatmap
from shared.ml.package import ModelPackage
from shared.ml.preprocess import DEFAULT_MAX_PIXELS, preprocess


class NoEvidenceError(DetectorError):
    """The model package was exported without the evidence that a heatmap shows."""


def explain(
    data: bytes, package: ModelPackage, engine: Engine, max_pixels: int = DEFAULT_MAX_PIXELS
) -> heatmap.Heatmap:
    """Return the heatmap of an encoded photo; `engine` holds `package`.

    One forward pass more: call it when somebody asks, not for every photo. Like `Engine.predict`,
    one thread at a time.

    Raises UnreadableImage for the photo's own faults, NoEvidenceError for an older package.
    """
    pixels = preprocess(data, package.manifest.preprocess, max_pixels)
    explained = engine.explain(pixels)
    if explained is None:
        raise NoEvidenceError(
            f"model {package.manifest.version} was exported without evidence: no heatmap"
        )
    logit, evidence = explained
    return heatmap.explain(logit, evidence, pixels)
