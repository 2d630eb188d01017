"""What a verdict was judged with: stored beside it, so that an appeal can compute it again."""

from typing import Any

from shared.ml.package import ModelPackage


def judged_with(
    package: ModelPackage, digest: str, engine: str, provenance: dict[str, Any]
) -> dict[str, Any]:
    """Return the JSON-ready facts; verdicts with equal ones differ by the photo's bytes alone.

    `digest` is that of the package directory, `engine` the engine's name, `provenance` the facts
    of `services.worker.provenance.Provenance`.
    """
    manifest = package.manifest
    thresholds = manifest.thresholds
    return {
        "package_sha256": digest or None,
        "engine": engine,
        "false_accusation_budget": thresholds.false_accusation_budget,
        "thresholds": {"real_below": thresholds.real_below, "ai_above": thresholds.ai_above},
        "calibration": manifest.calibration.model_dump(mode="json"),
        "preprocess": manifest.preprocess.model_dump(mode="json"),
        "recheck": manifest.recheck.model_dump(mode="json") if manifest.recheck else None,
        "provenance": provenance,
    }
