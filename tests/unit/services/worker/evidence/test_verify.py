"""A bundle is computed again in the precision of its verdict, or near enough to it."""

from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID

import pytest

from services.worker.engines import openvino
from services.worker.engines.openvino import OpenVinoEngine
from services.worker.evidence.verify import NotRepeatableError, _compared_statements, verify
from services.worker.inference.judged_with import judged_precision
from services.worker.inference.pipeline import InferencePipeline
from services.worker.provenance.verdict import READING
from shared.contracts.states import ImageStatus, Label
from shared.contracts.wire.images import ImageDetail, ImageLinks, JudgedVerdict
from shared.db.jobs.leases import LeasedImage
from shared.db.jobs.results import Judged
from shared.ml.package import load_package
from shared.ml.precision import Processor, processor
from shared.present.evidence import Bundle
from shared.registry.digest import package_digest
from shared.storage.memory import MemoryObjectStore
from shared.storage.port import sha256_hex
from tests.support.packages import ONE_NETWORK
from tests.support.photos import samples

NOW = datetime(2026, 11, 23, tzinfo=UTC)


@pytest.mark.parametrize(
    ("facts", "holds"), [({}, True), ({"reading": 1}, True), ({"reading": READING}, False)]
)
def test_statements_that_were_read_by_older_rules_are_told_and_not_compared(facts, holds):
    entry = {"kind": "software", "says": "ai_generated", "strength": "declared"}
    stored = JudgedVerdict(
        label=Label.REAL,
        probability=0.1,
        confidence=0.9,
        model_version="m",
        evidence=[entry],
        judged_with={"provenance": facts},
        created_at=NOW,
    )
    now = Judged(UUID(int=1), "m", Label.REAL, 0.1, 0.9, -2.0)

    check = _compared_statements(stored, now)

    assert (check.stored, check.holds) == ("software: ai_generated (declared)", holds)


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    """The verdict of the sample whose probability lies nearest to the middle."""
    package, store = load_package(ONE_NETWORK), MemoryObjectStore()
    pipeline = InferencePipeline(
        store, package, OpenVinoEngine(package), 1, 1, 0.005, 50_000_000,
        digest=package_digest(ONE_NETWORK),
    )  # fmt: skip
    leased, photos = [], [data for _, data in samples()]
    for number, photo in enumerate(photos):
        store.put(str(number), photo, "")
        leased.append(
            LeasedImage(
                UUID(int=number), UUID(int=99), str(number), sha256_hex(photo), len(photo), 1, "t"
            )
        )
    found = min(pipeline.run(leased), key=lambda judged: abs(judged.probability - 0.5))
    pipeline.close()
    photo = photos[found.image_id.int]
    verdict = JudgedVerdict(
        label=found.label,
        probability=found.probability,
        confidence=found.confidence,
        model_version=found.model_version,
        evidence=found.evidence,
        judged_with=found.judged_with,
        created_at=NOW,
    )
    image = ImageDetail(
        id=found.image_id,
        job_id=UUID(int=99),
        filename="photo.jpg",
        status=ImageStatus.SUCCEEDED,
        sha256=sha256_hex(photo),
        content_type="image/jpeg",
        size=len(photo),
        created_at=NOW,
        verdict=verdict,
        links=ImageLinks(self="/images/1", job="/jobs/2", feedback="/images/1/feedback"),
    )
    return Bundle(image, photo, None, {}, b"", None, None)


def told(bundle, moved=0.0, *, without=(), **facts):
    """The bundle with another probability, and other facts of what it was judged with."""
    verdict = bundle.image.verdict
    kept = {key: value for key, value in verdict.judged_with.items() if key not in without}
    moved += verdict.probability
    update = {"judged_with": kept | facts, "probability": moved}
    return replace(
        bundle,
        image=bundle.image.model_copy(update={"verdict": verdict.model_copy(update=update)}),
    )


def older(bundle, engine, moved):
    return told(bundle, moved, without=("precision", "cpu"), engine=engine)


def checks(bundle, tolerance=None):
    return {check.name: check for check in verify(bundle, ONE_NETWORK, None, tolerance)}


def test_a_verdict_in_float32_is_the_same_again(bundle):
    found = checks(bundle)
    assert [name for name, check in found.items() if not check.holds] == []
    assert (found["precision"].stored, found["precision"].now) == ("f32", "f32")
    assert not checks(told(bundle, 0.03))["probability"].holds
    assert checks(told(bundle, 0.03), 0.05)["probability"].holds


def test_an_older_verdict_in_bfloat16_is_compared_within_its_tolerance(bundle, monkeypatch):
    """As its engine's name tells; on a processor without bfloat16 in float32, which is said."""
    monkeypatch.setattr(openvino, "processor", lambda: Processor("old", ("avx2",)))
    found = checks(older(bundle, "openvino-cpu-bf16", 0.03))
    assert [name for name, check in found.items() if not check.holds] == []
    assert found["precision"].stored == "bf16"
    assert "f32, as this machine does not compute in bf16" in found["precision"].now
    assert "0.06" in found["precision"].now
    assert not checks(older(bundle, "openvino-cpu-bf16", 0.08))["probability"].holds
    assert not checks(older(bundle, "openvino-cpu-f32", 0.03))["probability"].holds


@pytest.mark.skipif(not processor().has_bf16, reason="this processor has no bfloat16")
def test_a_verdict_in_bfloat16_is_computed_in_it_where_the_processor_has_it(bundle):
    found = checks(told(bundle, precision="bf16"))
    assert (found["precision"].stored, found["precision"].now) == ("bf16", "bf16")
    assert found["probability"].holds


def test_a_precision_of_a_later_version_cannot_be_repeated(bundle):
    with pytest.raises(NotRepeatableError, match="unknown precision 'f8'"):
        checks(told(bundle, precision="f8"))


@pytest.mark.parametrize(
    ("facts", "precision"),
    [
        ({"engine": "openvino-cpu-f32", "precision": "f32"}, "f32"),
        ({"engine": "openvino-cpu-bf16"}, "bf16"),
        ({"engine": "openvino-cpu-f32"}, "f32"),
        ({"engine": "torch-cuda"}, "f16"),
        ({"engine": "torch-cpu"}, "f32"),
        ({"engine": "openvino-cpu"}, "f32"),
        ({}, "f32"),
    ],
)
def test_older_verdicts_tell_their_precision_by_the_engine(facts, precision):
    assert judged_precision(facts) == precision
