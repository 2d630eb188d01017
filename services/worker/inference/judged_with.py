"""What a verdict was judged with: stored beside it, so that an appeal can compute it again."""

from collections.abc import Mapping
from typing import Any, get_args

from services.worker.engines.port import Engine
from shared.ml.package import ModelPackage
from shared.ml.precision import Precision, processor

_PRECISIONS: tuple[Precision, ...] = get_args(Precision)
# What the first engines computed in, whose names do not say it.
_UNNAMED: dict[str, Precision] = {"torch-cuda": "f16"}


def judged_with(
    package: ModelPackage, digest: str, engine: Engine, provenance: dict[str, Any]
) -> dict[str, Any]:
    """Return the JSON-ready facts; verdicts with equal ones differ by the photo's bytes alone.

    `cpu` decides nothing but the last digits of a probability, so `shared.db.jobs.reuse` leaves it
    out.
    `digest` is that of the package directory, `provenance` the facts of
    `services.worker.provenance.verdict.Provenance`.
    """
    manifest = package.manifest
    thresholds = manifest.thresholds
    facts = {
        "package_sha256": digest or None,
        "engine": engine.name,
        "precision": engine.precision,
        "cpu": processor().facts,
        "false_accusation_budget": thresholds.false_accusation_budget,
        "thresholds": {"real_below": thresholds.real_below, "ai_above": thresholds.ai_above},
        "calibration": manifest.calibration.model_dump(mode="json"),
        "preprocess": manifest.preprocess.model_dump(mode="json"),
        "recheck": manifest.recheck.model_dump(mode="json") if manifest.recheck else None,
        "provenance": provenance,
    }
    if manifest.trunk is None:
        return facts
    # The package's own digest does not hold the trunk: it lies beside it, shared.
    return facts | {
        "trunk_sha256": manifest.trunk.file.sha256,
        "members": {name: {"precision": each} for name, each in engine.precisions.items()},
    }


def judged_precision(facts: Mapping[str, Any]) -> Precision:
    """Return what a verdict with these facts was computed in.

    Verdicts made before it was named have an engine that tells, such as "openvino-cpu-bf16"; else
    it was float32. Raises ValueError for a precision that is unknown here.
    """
    engine = str(facts.get("engine") or "")
    named = facts.get("precision")
    for precision in _PRECISIONS:
        if precision == (named or engine.rpartition("-")[2]):
            return precision
    if named:
        raise ValueError(f"unknown precision {named!r}")
    return _UNNAMED.get(engine, "f32")


def member_precisions(facts: Mapping[str, Any]) -> dict[str, Precision]:
    """Return what each member of a package of members was computed in; unknown ones are left out.

    Empty for a verdict of a package of one network.
    """
    told = facts.get("members") or {}
    named = {name: judged_precision(each) for name, each in told.items() if each.get("precision")}
    return dict(named)
