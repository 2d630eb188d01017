"""A package of members from bytes to verdict and heatmap, on photos of every odd shape."""

import io
import json

import numpy as np
import pytest
from PIL import Image

from services.worker.engines.openvino_members import OpenVinoMembersEngine
from services.worker.inference.explain import explain
from services.worker.inference.judged_with import member_precisions
from services.worker.inference.pipeline import InferencePipeline
from services.worker.inference.told import KIND
from services.worker.metrics import PHOTOS_ENDED
from shared.core.ids import new_id
from shared.db.jobs.leases import LeasedImage
from shared.db.jobs.results import Judged
from shared.ml import heatmap
from shared.ml.postprocess import judge, settle
from shared.ml.preprocess import preprocess, stack
from shared.ml.recheck import reencode
from shared.ml.spec import Cascade
from shared.storage.memory import MemoryObjectStore
from shared.storage.port import sha256_hex
from tests.support.members import SPEC, write_members_package
from tests.support.photos import samples


def png(array):
    buffer = io.BytesIO()
    Image.fromarray(array).save(buffer, "PNG")
    return buffer.getvalue()


def noise(height, width, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


ODD = {
    "one pixel": png(np.full((1, 1, 3), 90, np.uint8)),
    "tiny": png(noise(3, 2)),
    "a row": png(noise(1, 500)),
    "panorama": png(noise(40, 1400)),
    "tower": png(noise(900, 30)),
    "blank": png(np.full((300, 400, 3), 255, np.uint8)),
    "16-bit grey": png(np.random.default_rng(1).integers(0, 65536, (90, 130)).astype(np.uint16)),
    "a tile exactly": png(noise(SPEC.size, SPEC.size)),
}


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    """One whose tiles matter to some photos and not to others; every verdict gets two looks."""
    cascade = Cascade(below=-0.2, above=2.5, slope=0.5, intercept=0.0, share=0.5)
    recheck = {"jpeg_quality": 60, "ai_below_logit": 1e9, "real_above_logit": -1e9}
    return write_members_package(
        tmp_path_factory.mktemp("pipeline") / "package", cascade=cascade, recheck=recheck
    )


@pytest.fixture(scope="module")
def engine(package):
    return OpenVinoMembersEngine(package, batch_size=4)


def ended():
    return {name: PHOTOS_ENDED.labels(name)._value.get() for name in ("view", "tiles")}


@pytest.fixture(scope="module")
def judged(package, engine):
    """Each odd photo and some samples, by name, with its verdict; and what the counters gained."""
    photos = ODD | dict(samples()[:6])
    store, leased, before = MemoryObjectStore(), [], ended()
    for name, data in photos.items():
        store.put(name, data, "")
        leased.append(LeasedImage(new_id(), new_id(), name, sha256_hex(data), len(data), 1, "r"))
    pipeline = InferencePipeline(store, package, engine, 2, 1, 0.005, 50_000_000, digest="ab")
    outcomes = list(pipeline.run(leased))
    pipeline.close()
    gained = {name: count - before[name] for name, count in ended().items()}
    found = {
        name: (data, outcome)
        for (name, data), outcome in zip(photos.items(), outcomes, strict=True)
    }
    return found, gained


def test_every_photo_has_a_verdict_that_tells_its_networks(judged, package, engine):
    found, gained = judged
    looks = []
    for data, outcome in found.values():
        assert isinstance(outcome, Judged)
        pixels = preprocess(data, SPEC)
        predicted = engine.predict(pixels[None])
        assert outcome.logit == pytest.approx(float(predicted.logits[0]), abs=1e-4)
        first, *others = outcome.evidence
        assert json.loads(json.dumps(first)) == first
        assert first["kind"] == KIND
        assert first["ended_at"] == ("tiles" if predicted.tiles_seen[0] else "view")
        assert first["view_logit"] == pytest.approx(float(predicted.view[0]), abs=1e-3)
        assert (first["tiles_logit"] is None) is (first["ended_at"] == "view")
        looks.append(first["ended_at"])
        label = judge(outcome.logit, package.manifest).label
        if label == "uncertain":
            assert others == []
            continue
        again = float(engine.predict(reencode(pixels, 60)[None]).logits[0])
        expected = settle(judge(outcome.logit, package.manifest), again, package.manifest)
        assert outcome.label == expected.label
        assert [entry["kind"] for entry in others] == ["reencode"]
    assert gained == {name: looks.count(name) for name in ("view", "tiles")}
    assert min(gained.values()) > 0


def test_a_verdict_names_trunk_and_precisions(judged, package):
    (_, outcome), *_ = judged[0].values()
    told = outcome.judged_with
    assert told["trunk_sha256"] == package.manifest.trunk.file.sha256
    assert told["members"] == {"view": {"precision": "f32"}, "tiles": {"precision": "f32"}}
    assert member_precisions(told) == {"view": "f32", "tiles": "f32"}
    assert told["precision"] == "f32"
    assert told["preprocess"]["tiles"] == SPEC.tiles
    assert json.loads(json.dumps(told)) == told
    assert len(outcome.embedding) == package.manifest.embedding.dim


@pytest.mark.parametrize("name", ODD)
def test_an_odd_photo_makes_the_same_stack_each_time(name):
    first, again = (stack(ODD[name], SPEC) for _ in range(2))
    assert first.pixels.shape == SPEC.shape
    assert first.pixels.dtype == np.uint8
    assert np.array_equal(first.pixels, again.pixels)
    assert np.array_equal(first.pixels, preprocess(ODD[name], SPEC))
    assert first.boxes == again.boxes
    assert len(first.boxes) == 1 + SPEC.tiles


@pytest.mark.parametrize("name", ODD)
def test_a_heatmap_shows_the_whole_photo_and_adds_up(name, package, engine):
    found = explain(ODD[name], package, engine)
    predicted = float(engine.predict(preprocess(ODD[name], SPEC)[None]).logits[0])
    assert found.logit == pytest.approx(predicted, abs=1e-4)
    with Image.open(io.BytesIO(ODD[name])) as photo, Image.open(io.BytesIO(found.png)) as picture:
        scale = min(1.0, heatmap.PICTURE_LONG / max(photo.size))
        assert picture.size == tuple(max(1, round(side * scale)) for side in photo.size)
        assert picture.size == (found.width, found.height)
    assert found.cells.mean(dtype=np.float64) == pytest.approx(found.logit, abs=1e-3)


def test_the_second_look_saves_each_image_by_itself():
    pixels = preprocess(ODD["panorama"], SPEC)
    again = reencode(pixels, 75)
    assert again.shape == pixels.shape
    for one, other in zip(pixels, again, strict=True):
        assert np.array_equal(reencode(one, 75), other)
