"""Engines of packages of members: both runtimes agree, and the cascade changes no label."""

import numpy as np
import pytest

from services.worker.engines import members, openvino_members
from services.worker.engines.openvino_members import OpenVinoMembersEngine
from services.worker.engines.port import NoEngineError
from services.worker.engines.select import load_engine
from services.worker.engines.torch_members import TorchMembersEngine
from services.worker.settings import WorkerSettings
from shared.ml.errors import PackageError
from shared.ml.members.weights import read_state, write_state
from shared.ml.postprocess import judge
from shared.ml.precision import Processor
from shared.ml.preprocess import preprocess
from shared.ml.spec import Cascade
from tests.support.members import EMBEDDED, SPEC, write_members_package
from tests.support.photos import samples


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    return write_members_package(tmp_path_factory.mktemp("members") / "package")


@pytest.fixture(scope="module")
def engine(package):
    return OpenVinoMembersEngine(package, batch_size=8)


@pytest.fixture(scope="module")
def torch_engine(package):
    return TorchMembersEngine(package, batch_size=8, device="cpu")


@pytest.fixture(scope="module")
def stacks():
    photos = [preprocess(data, SPEC) for _, data in samples()]
    noise = np.random.default_rng(0).integers(0, 256, (3, *SPEC.shape), dtype=np.uint8)
    return np.stack([*photos, *noise, np.zeros(SPEC.shape, np.uint8)])[-11:]


def in_batches(engine, stacks):
    return [engine.predict(stacks[i : i + 8]) for i in range(0, len(stacks), 8)]


def joined(found, name):
    return np.concatenate([getattr(each, name) for each in found])


def test_the_runtimes_agree(engine, torch_engine, stacks):
    ours, theirs = (in_batches(each, stacks) for each in (engine, torch_engine))
    for name in ("logits", "view", "tiles"):
        found = joined(ours, name)
        assert found.shape == (len(stacks),)
        assert found == pytest.approx(joined(theirs, name), abs=2e-3)
        assert np.ptp(found) > 0.1
    embeddings = joined(ours, "embeddings")
    assert embeddings.shape == (len(stacks), EMBEDDED)
    assert embeddings == pytest.approx(joined(theirs, "embeddings"), abs=2e-3)
    assert joined(ours, "tiles_seen").all()


def test_a_photo_gets_the_same_logit_in_any_batch(engine, stacks):
    whole = engine.predict(stacks[:8]).logits
    for count in (1, 2, 3, 7):
        assert engine.predict(stacks[:count]).logits == pytest.approx(whole[:count], abs=1e-4)


def test_the_logit_is_the_weighted_sum_of_limited_ones(package, engine, stacks):
    found = engine.predict(stacks[:8])
    view, tiles = package.manifest.member("view"), package.manifest.member("tiles")
    expected = view.weight * np.clip(found.view, -view.limit, view.limit)
    expected += tiles.weight * np.clip(found.tiles, -tiles.limit, tiles.limit)
    assert found.logits == pytest.approx(expected, abs=1e-5)


def test_skipping_tiles_changes_no_label(tmp_path, package, engine, stacks):
    """Beyond the two bounds the tiles within their limit cannot reach the other threshold."""
    thresholds, tiles = package.manifest.thresholds, package.manifest.member("tiles")
    most = tiles.weight * tiles.limit
    low, high = (np.log(p / (1 - p)) for p in (thresholds.real_below, thresholds.ai_above))
    bounds = {"below": float(low - most), "above": float(high + most)}
    cascade = Cascade(**bounds, slope=0.3, intercept=0.1, share=0.5)
    skipping = write_members_package(tmp_path / "package", cascade=cascade)
    ours = OpenVinoMembersEngine(skipping, batch_size=8)
    theirs = TorchMembersEngine(skipping, 8, "cpu")
    found, whole = (in_batches(each, stacks) for each in (ours, engine))
    seen, view = joined(found, "tiles_seen"), joined(found, "view")
    assert list(seen) == [bounds["below"] <= each <= bounds["above"] for each in view]
    assert 0 < seen.sum() < len(seen)
    assert np.isnan(joined(found, "tiles")[~seen]).all()
    labels = [
        [judge(logit, package.manifest).label for logit in joined(each, "logits")]
        for each in (found, whole)
    ]
    assert labels[0] == labels[1]
    stand_in = np.clip(0.3 * view[~seen] + 0.1, -tiles.limit, tiles.limit)
    assert joined(found, "logits")[~seen] == pytest.approx(
        view[~seen].clip(-8, 8) + tiles.weight * stand_in, abs=1e-5
    )
    assert list(joined(in_batches(theirs, stacks), "tiles_seen")) == list(seen)


def test_skipped_tiles_are_not_computed(tmp_path, stacks, monkeypatch):
    cascade = Cascade(below=99.0, above=100.0, slope=0.5, intercept=0.0, share=0.0)
    skipping = write_members_package(tmp_path / "package", cascade=cascade)
    engine = OpenVinoMembersEngine(skipping, batch_size=4)
    monkeypatch.setattr(engine, "_look_at_tiles", lambda _: pytest.fail("tiles were computed"))
    assert not engine.predict(stacks[:4]).tiles_seen.any()
    assert len(engine.explain(stacks[0]).maps) == 1


def test_evidence_of_both_adds_up_to_the_logit(package, engine, torch_engine, stacks):
    """Up to a constant, the same for every photo whose members are within their limits."""
    found, other = (each.explain(stacks[0]) for each in (engine, torch_engine))
    assert found.logit == pytest.approx(float(engine.predict(stacks[:1]).logits[0]), abs=1e-4)
    assert [each.shape for each in found.maps] == [(4, 4), *[(4, 4)] * SPEC.tiles]
    for ours, theirs in zip(found.maps, other.maps, strict=True):
        assert ours == pytest.approx(theirs, abs=0.02)
    tiles = package.manifest.member("tiles")
    of_tiles = sum(each.mean() for each in found.maps[1:])
    logit = float(engine.predict(stacks[:1]).tiles[0])
    assert abs(logit) < tiles.limit
    bias = float(read_state(package.members["tiles"])["classifier.bias"][0])
    assert of_tiles == pytest.approx(tiles.weight * (logit - bias), abs=1e-3)


def test_load_engine_takes_the_engine_for_the_package(package):
    cpu, gpu = (
        WorkerSettings.model_construct(
            worker_engine=name, worker_precision="auto", worker_batch_size=2
        )
        for name in ("openvino", "torch")
    )
    engine = load_engine(package, cpu)
    assert isinstance(engine, OpenVinoMembersEngine)
    assert (engine.name, engine.precision) == ("openvino-cpu-f32", "f32")
    assert engine.precisions == {"view": "f32", "tiles": "f32"}
    assert isinstance(load_engine(package, gpu), TorchMembersEngine)


def test_each_member_has_its_own_precision(package, tmp_path, monkeypatch):
    def listing(view, tiles):
        changed = [
            member.model_copy(update={"precisions": each})
            for member, each in zip(package.manifest.members, (view, tiles), strict=True)
        ]
        manifest = package.manifest.model_copy(update={"members": tuple(changed)})
        return type(package)(package.directory, manifest, package.evaluation)

    both = listing(("f32", "bf16"), ("f32",))
    supported = ("f32", "bf16")
    choose = members.member_precisions
    assert choose(both, supported, None) == {"view": "f32", "tiles": "f32"}
    assert choose(both, supported, "bf16") == {"view": "bf16", "tiles": "f32"}
    assert members.coarsest(choose(both, supported, "bf16")) == "bf16"
    with pytest.raises(PackageError, match="not in f16"):
        choose(both, supported, "f16")
    monkeypatch.setattr(openvino_members, "processor", lambda: Processor("old", ("avx2",)))
    with pytest.raises(NoEngineError, match="DETECTOR_WORKER_PRECISION"):
        choose(listing(("bf16",), ("f32",)), ("f32",), None)


@pytest.mark.parametrize(("name", "lost"), [("view", "head.weight"), ("tiles", "spread")])
def test_weights_of_another_network_are_refused(tmp_path, name, lost):
    package = write_members_package(tmp_path / "package")
    state = read_state(package.members[name])
    del state[lost]
    write_state(state, package.members[name])
    for engine in (OpenVinoMembersEngine, TorchMembersEngine):
        with pytest.raises(PackageError, match="does not fit"):
            engine(package, batch_size=2)


def test_a_number_that_is_none_becomes_no_verdict(package, stacks):
    view = np.array([np.inf, np.nan, 0.0], np.float32)
    none = np.zeros((3, EMBEDDED), np.float32)
    found = members.judged(
        stacks[:3], package.manifest, view, none, lambda tiles: np.zeros(len(tiles), np.float32)
    )
    assert np.isnan(found.logits[:2]).all()
    with pytest.raises(ValueError, match="logit"):
        judge(found.logits[0], package.manifest)
