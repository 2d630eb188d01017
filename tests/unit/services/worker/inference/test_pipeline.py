"""Fetch, decode and forward with the shipped model; faults are sorted into passing and final."""

import json
from dataclasses import replace
from uuid import uuid4

import numpy as np
import pytest

from services.worker.engines.port import Predictions
from services.worker.engines.select import load_engine
from services.worker.inference import pipeline as pipeline_module
from services.worker.inference.pipeline import (
    MAX_CORRUPT_READS,
    MAX_MEMORY_TRIES,
    InferencePipeline,
    Postponed,
)
from services.worker.settings import WorkerSettings
from shared.contracts.errors import ImageErrorCode
from shared.core.errors import StorageError
from shared.core.ids import new_id
from shared.db.jobs.leases import LeasedImage
from shared.db.jobs.results import Failed, Judged
from shared.ml.formats.encoder_quality import encoder_quality
from shared.ml.package import load_package
from shared.ml.postprocess import judge, settle
from shared.ml.precision import processor
from shared.ml.preprocess import preprocess
from shared.ml.recheck import reencode
from shared.ml.spec import Recheck
from shared.storage.memory import MemoryObjectStore
from shared.storage.port import image_key, sha256_hex
from tests.support.packages import ONE_NETWORK
from tests.support.photos import jpeg, samples, truncated_jpeg

TENANT = uuid4()


@pytest.fixture(scope="module")
def settings() -> WorkerSettings:
    return WorkerSettings(
        database_url="postgresql+psycopg://unused",
        redis_url="redis://unused",
        s3_endpoint="http://unused",
        s3_access_key="unused",
        s3_secret_key="unused",
        worker_engine="openvino",
    )


@pytest.fixture(scope="module")
def package(settings):
    # A package of one network; test_members_pipeline has the other form.
    return load_package(ONE_NETWORK)


@pytest.fixture(scope="module")
def engine(package, settings):
    return load_engine(package, settings)


@pytest.fixture
def store() -> MemoryObjectStore:
    return MemoryObjectStore()


@pytest.fixture
def pipeline(store, package, engine):
    pipeline = InferencePipeline(store, package, engine, 4, 2, 0.005, 50_000_000)
    yield pipeline
    pipeline.close()


def leased(store: MemoryObjectStore, data: bytes, attempts: int = 1) -> LeasedImage:
    digest = sha256_hex(data)
    key = image_key(TENANT, digest)
    store.put(key, data, "image/jpeg")
    return LeasedImage(new_id(), new_id(), key, digest, len(data), attempts, "request")


def test_sample_photos_are_judged_in_order(pipeline, store, package):
    images = [leased(store, data) for _, data in samples()]
    outcomes = list(pipeline.run(images))
    assert [outcome.image_id for outcome in outcomes] == [image.id for image in images]
    assert all(isinstance(outcome, Judged) for outcome in outcomes)
    assert {outcome.model_version for outcome in outcomes} == {package.manifest.version}
    told = outcomes[0].judged_with
    assert all(outcome.judged_with == told for outcome in outcomes)
    assert told["thresholds"]["ai_above"] == package.manifest.thresholds.ai_above
    assert told["preprocess"]["resize_short"] == package.manifest.preprocess.resize_short
    assert told["provenance"]["conclusive"] == "stated"
    assert (told["engine"], told["precision"]) == ("openvino-cpu-f32", "f32")
    assert told["cpu"] == processor().facts
    assert json.loads(json.dumps(told)) == told
    qualities = [encoder_quality(data) for _, data in samples()]
    assert [outcome.encoder_quality for outcome in outcomes] == qualities
    assert all(qualities)
    dim = package.manifest.embedding.dim if package.manifest.embedding else None
    assert {outcome.embedding and len(outcome.embedding) for outcome in outcomes} == {dim}


def test_a_photo_gets_the_same_logit_alone_and_in_any_batch(pipeline, store):
    images = [leased(store, jpeg(number)) for number in range(23)]
    together = [outcome.logit for outcome in pipeline.run(images)]
    alone = [next(iter(pipeline.run([image]))).logit for image in images]
    assert together == pytest.approx(alone, abs=1e-3)


def test_a_bad_photo_fails_alone(pipeline, store):
    images = [leased(store, jpeg(number)) for number in range(8)]
    images[3] = leased(store, truncated_jpeg(3))
    images[5] = leased(store, b"no image at all")
    outcomes = list(pipeline.run(images))
    codes = {n: o.code for n, o in enumerate(outcomes) if isinstance(o, Failed)}
    assert codes == {
        3: ImageErrorCode.TRUNCATED_IMAGE,
        5: ImageErrorCode.UNSUPPORTED_TYPE,
    }


def test_missing_bytes_are_final(pipeline, store):
    image = leased(store, jpeg(0))
    store.delete(image.object_key)
    (outcome,) = pipeline.run([image])
    assert isinstance(outcome, Failed)
    assert outcome.code is ImageErrorCode.OBJECT_MISSING


def test_a_store_that_is_away_postpones(package, engine):
    class Away(MemoryObjectStore):
        def get(self, key, size, sha256):
            raise StorageError("connection refused")

    pipeline = InferencePipeline(Away(), package, engine, 2, 1, 0.0, 50_000_000)
    image = leased(MemoryObjectStore(), jpeg(0))
    assert list(pipeline.run([image])) == [Postponed(image.id, 1, "connection refused")]
    pipeline.close()


def test_damaged_bytes_are_read_again_before_they_are_given_up(pipeline, store):
    good = leased(store, jpeg(0))
    store.put(good.object_key, jpeg(1), "image/jpeg")
    (outcome,) = pipeline.run([good])
    assert isinstance(outcome, Postponed)
    last = leased(store, jpeg(2), attempts=MAX_CORRUPT_READS)
    store.put(last.object_key, jpeg(3), "image/jpeg")
    (outcome,) = pipeline.run([last])
    assert isinstance(outcome, Failed)


def test_a_photo_near_a_threshold_is_judged_twice(store, package, engine):
    """Wide limits ask for a second look at every verdict; the outcome is that of the rule."""
    recheck = Recheck(jpeg_quality=75, ai_below_logit=1e9, real_above_logit=-1e9)
    manifest = package.manifest.model_copy(update={"recheck": recheck})
    twice = InferencePipeline(
        store, replace(package, manifest=manifest), engine, 4, 2, 0.005, 50_000_000
    )
    photos = [data for _, data in samples()]
    outcomes = list(twice.run([leased(store, data) for data in photos]))
    twice.close()
    looked = 0
    for data, outcome in zip(photos, outcomes, strict=True):
        pixels = preprocess(data, manifest.preprocess)
        first = judge(float(engine.predict(pixels[None]).logits[0]), manifest)
        assert outcome.logit == pytest.approx(first.logit, abs=1e-3)
        if first.label == "uncertain":
            assert outcome.evidence == []
            continue
        looked += 1
        second = float(engine.predict(reencode(pixels, 75)[None]).logits[0])
        assert outcome.label == settle(first, second, manifest).label
        (entry,) = outcome.evidence
        assert entry["flipped"] is (outcome.label == "uncertain")
    assert looked > 0


def test_each_verdict_has_its_own_embedding_and_that_of_the_first_look(store, package, engine):
    """Of an engine whose embeddings begin with the logit: a second look changes nothing of it."""

    class Embedding:
        name, precision, batch_size = engine.name, engine.precision, engine.batch_size
        precisions = engine.precisions

        def predict(self, images):
            logits = engine.predict(images).logits
            return Predictions(logits, np.stack([logits, -logits], 1))

        def explain(self, _image):
            return None

    recheck = Recheck(jpeg_quality=30, ai_below_logit=1e9, real_above_logit=-1e9)
    manifest = package.manifest.model_copy(update={"recheck": recheck})
    pipeline = InferencePipeline(
        store, replace(package, manifest=manifest), Embedding(), 4, 2, 0.005, 50_000_000
    )
    outcomes = list(pipeline.run([leased(store, data) for _, data in samples()]))
    pipeline.close()
    assert any(outcome.evidence for outcome in outcomes)
    assert [outcome.embedding for outcome in outcomes] == [(o.logit, -o.logit) for o in outcomes]


@pytest.mark.parametrize("where", ["preprocess", "encoder_quality"])
def test_memory_that_is_missing_postpones_its_own_photo(pipeline, store, monkeypatch, where):
    """A real shortage cannot be had here at will; where it strikes, it is the machine's trouble."""
    scarce, work = jpeg(3), getattr(pipeline_module, where)

    def short(data, *rest):
        if data == scarce:
            raise MemoryError
        return work(data, *rest)

    monkeypatch.setattr(pipeline_module, where, short)
    images = [leased(store, jpeg(0)), leased(store, scarce), leased(store, jpeg(1))]
    outcomes = list(pipeline.run(images))
    assert [type(outcome) for outcome in outcomes] == [Judged, Postponed, Judged]
    (last,) = pipeline.run([leased(store, scarce, attempts=MAX_MEMORY_TRIES)])
    assert last.code is ImageErrorCode.INFERENCE_FAILED
    assert "memory" in last.detail
