"""The heatmap of one photo, by the engine that judged it."""

from services.worker.engines.port import Engine, Explained, Images
from shared.core.errors import DetectorError
from shared.ml import heatmap
from shared.ml.package import ModelPackage
from shared.ml.preprocess import DEFAULT_MAX_PIXELS, preprocess, stack_and_photo
from shared.ml.spec import StackSpec


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
    spec = package.manifest.preprocess
    if isinstance(spec, StackSpec):
        stack, photo = stack_and_photo(data, spec, heatmap.PICTURE_LONG, max_pixels)
        found = _explained(stack.pixels, package, engine)
        return heatmap.explain_stack(found.logit, found.maps, stack, photo)
    pixels = preprocess(data, spec, max_pixels)
    found = _explained(pixels, package, engine)
    return heatmap.explain(found.logit, found.maps[0], pixels)


def _explained(pixels: Images, package: ModelPackage, engine: Engine) -> Explained:
    explained = engine.explain(pixels)
    if explained is None:
        raise NoEvidenceError(
            f"model {package.manifest.version} was exported without evidence: no heatmap"
        )
    return explained
