"""Computes the verdict of an evidence bundle again, by the path that judged the photo."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from services.worker.engines.port import Engine
from services.worker.engines.select import load_engine
from services.worker.inference.judged_with import judged_precision, member_precisions
from services.worker.inference.pipeline import InferencePipeline
from services.worker.provenance.decide import Conclusive
from services.worker.provenance.findings import Kind
from services.worker.provenance.verdict import READING, Provenance
from services.worker.settings import WorkerSettings
from services.worker.wiring import at_budget
from shared.contracts.wire.images import JudgedVerdict
from shared.core.errors import DetectorError
from shared.db.jobs.leases import LeasedImage
from shared.db.jobs.results import Judged
from shared.ml.package import ModelPackage, load_package
from shared.ml.precision import TOLERANCES, Precision
from shared.ml.preprocess import DEFAULT_MAX_PIXELS
from shared.present.evidence import Bundle
from shared.registry.digest import package_digest
from shared.storage.memory import MemoryObjectStore

# What the file states; that its metadata cannot be read is no statement.
_STATEMENTS = frozenset(Kind) - {Kind.PROVENANCE}


class NotRepeatableError(DetectorError):
    """The verdict cannot be computed again here; the message says what is missing."""


@dataclass(frozen=True, slots=True)
class Check:
    """One comparison of what was stored with what came out now."""

    name: str
    stored: str
    now: str
    holds: bool


def verify(
    bundle: Bundle, directory: Path, anchors: Path | None, tolerance: float | None = None
) -> Iterator[Check]:
    """Yield the comparisons for the bundle's newest verdict.

    `directory` is the model package that judged, `anchors` the trust anchors that the worker had.
    It is computed in the verdict's own precision, or in float32 where this machine lacks that.
    Probabilities may differ by `tolerance`, by default that of the verdict's precision: runtimes
    and processors round differently.
    Raises NotRepeatableError, or PackageError for a damaged package.
    """
    stored = bundle.image.verdict
    if stored is None:
        raise NotRepeatableError("the bundle holds no verdict")
    package = _package(stored, directory)
    yield Check("model", stored.model_version, package.manifest.version, holds=True)
    digest = stored.judged_with.get("package_sha256")
    if digest:
        now_digest = package_digest(directory)
        yield Check("model package", digest[:16], now_digest[:16], now_digest == digest)
    precision = _precision(stored)
    allowed = TOLERANCES[precision].probability if tolerance is None else tolerance
    engine = _engine(package, precision, member_precisions(stored.judged_with))
    yield Check("precision", precision, _told(precision, engine, allowed), holds=True)
    now = _judge(bundle, package, engine, _provenance(stored, anchors))
    yield Check("label", stored.label.value, now.label.value, now.label == stored.label)
    yield Check(
        "probability",
        f"{stored.probability:.4f}",
        f"{now.probability:.4f}",
        abs(now.probability - stored.probability) <= allowed,
    )
    yield _compared_statements(stored, now)


def _package(stored: JudgedVerdict, directory: Path) -> ModelPackage:
    package = load_package(directory)
    if package.manifest.version != stored.model_version:
        raise NotRepeatableError(
            f"the photo was judged by model {stored.model_version}, and {directory} holds"
            f" {package.manifest.version}: give the right package with --model"
        )
    return at_budget(package, stored.judged_with.get("false_accusation_budget"))


def _provenance(stored: JudgedVerdict, anchors: Path | None) -> Provenance:
    facts = stored.judged_with.get("provenance") or {}
    provenance = Provenance(Conclusive(facts.get("conclusive", Conclusive.TRUSTED)), anchors, 30.0)
    wanted = facts.get("trust_anchors_sha256")
    if wanted != provenance.facts["trust_anchors_sha256"]:
        raise NotRepeatableError(
            "the photo was judged with other trust anchors"
            + (f" (SHA-256 {wanted}): give that file with --trust-anchors" if wanted else "")
        )
    return provenance


def _precision(stored: JudgedVerdict) -> Precision:
    try:
        member_precisions(stored.judged_with)
        return judged_precision(stored.judged_with)
    except ValueError as error:
        raise NotRepeatableError(
            f"the photo was judged in an {error}: verify it with the version that judged"
        ) from error


def _engine(
    package: ModelPackage, precision: Precision, members: Mapping[str, Precision]
) -> Engine:
    """Load an engine in `precision`, or in float32 where there is none such here.

    Of a package of members each is computed in its own of `members`.

    What the package lists counts for new verdicts alone: older workers took bfloat16 by themselves.
    """
    manifest = package.manifest.model_copy(
        update={
            "precisions": _listed_precisions(precision),
            "members": tuple(
                member.model_copy(
                    update={"precisions": _listed_precisions(members.get(member.name, precision))}
                )
                for member in package.manifest.members
            ),
        }
    )
    settings = WorkerSettings.model_construct(worker_engine="auto")
    return load_engine(replace(package, manifest=manifest), settings)


def _listed_precisions(precision: Precision) -> tuple[Precision, ...]:
    return tuple(dict.fromkeys((precision, "f32")))


def _told(precision: Precision, engine: Engine, allowed: float) -> str:
    if engine.precision == precision:
        return engine.precision
    return (
        f"{engine.precision}, as this machine does not compute in {precision}: the probability may"
        f" differ by {allowed:g}, and a photo that near to a threshold may get another label"
    )


def _judge(bundle: Bundle, package: ModelPackage, engine: Engine, provenance: Provenance) -> Judged:
    image = bundle.image
    store = MemoryObjectStore()
    store.put("photo", bundle.photo, "")
    pipeline = InferencePipeline(
        store,
        package,
        engine,
        fetch_threads=1,
        decode_threads=1,
        batch_wait_seconds=0.0,
        max_pixels=DEFAULT_MAX_PIXELS,
        provenance=provenance,
    )
    leased = LeasedImage(
        image.id, image.job_id, "photo", image.sha256 or "", len(bundle.photo), 1, "verify"
    )
    try:
        (outcome,) = pipeline.run([leased])
    finally:
        pipeline.close()
    if not isinstance(outcome, Judged):
        raise NotRepeatableError(f"the photo cannot be judged: {outcome}")
    return outcome


def _compared_statements(stored: JudgedVerdict, now: Judged) -> Check:
    before, after = _statements(stored.evidence), _statements(now.evidence)
    facts = stored.judged_with.get("provenance") or {}
    if facts.get("reading", 1) == READING:
        return Check("statements of origin", _listed(before), _listed(after), before == after)
    # Nobody reads by the older rules any more: what is found now is told, not compared.
    told = f"{_listed(after)}; files were read by older rules then"
    return Check("statements of origin", _listed(before), told, holds=True)


def _statements(evidence: list[dict[str, Any]]) -> list[tuple[str, str, str]]:
    return sorted(
        (entry["kind"], entry["says"], entry["strength"])
        for entry in evidence
        if entry.get("kind") in _STATEMENTS
    )


def _listed(statements: list[tuple[str, str, str]]) -> str:
    return (
        ", ".join(f"{kind}: {says} ({strength})" for kind, says, strength in statements) or "none"
    )
