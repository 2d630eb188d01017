import numpy as np
import pytest
import torch

from services.training.evaluation.scorers import (
    digest_of,
    looked_at,
    package_logit,
    scorer_of,
)
from shared.ml.members.weights import write_state
from shared.ml.network import build_backbone
from shared.ml.package import ModelPackage
from shared.ml.spec import Cascade

WIDTH, BLOCKS = 64, 4


def view_state(rng):
    """A ViT of four blocks, one head, and 2 x 2 patches of 16 pixels."""

    def draw(*shape):
        return rng.normal(0, 0.1, shape).astype(np.float32)

    state = {
        "cls_token": draw(1, 1, WIDTH),
        "pos_embed": draw(1, 5, WIDTH),
        "patch_embed.proj.weight": draw(WIDTH, 3, 16, 16),
        "norm_pre.weight": np.ones(WIDTH, np.float32),
        "norm_pre.bias": draw(WIDTH),
    }
    shapes = {
        "attn.qkv": (3 * WIDTH, WIDTH),
        "attn.proj": (WIDTH, WIDTH),
        "mlp.fc1": (4 * WIDTH, WIDTH),
        "mlp.fc2": (WIDTH, 4 * WIDTH),
    }
    for block in range(BLOCKS):
        for name in ("norm1", "norm2"):
            state[f"blocks.{block}.{name}.weight"] = np.ones(WIDTH, np.float32)
            state[f"blocks.{block}.{name}.bias"] = draw(WIDTH)
        for name, shape in shapes.items():
            state[f"blocks.{block}.{name}.weight"] = draw(*shape)
            state[f"blocks.{block}.{name}.bias"] = draw(shape[0])
    return state


@pytest.fixture
def package(manifest, tmp_path):
    rng = np.random.default_rng(0)
    state = view_state(rng)
    release = {key: state.pop(key) for key in list(state) if key.startswith("blocks.3.")}
    release["head.weight"] = rng.normal(0, 0.2, BLOCKS * WIDTH).astype(np.float32)
    release["head.bias"] = np.array([0.5], np.float32)
    state["embedding.weight"] = rng.normal(0, 0.1, (3, 3 * WIDTH)).astype(np.float32)
    state["embedding.bias"] = np.zeros(3, np.float32)
    torch.manual_seed(0)
    network = build_backbone("tf_efficientnet_lite0+statistics").eval()
    tiles = {k: v.numpy() for k, v in network.state_dict().items() if v.is_floating_point()}
    tiles["classifier.weight"] = np.ones_like(tiles["classifier.weight"]) / 100
    paths = {name: tmp_path / f"{name}.safetensors" for name in ("trunk", "view", "tiles")}
    for path, part in zip(paths.values(), (state, release, tiles), strict=True):
        write_state(part, path)
    return ModelPackage(
        directory=tmp_path,
        manifest=manifest,
        evaluation=tmp_path / "evaluation.json",
        members={"view": paths["view"], "tiles": paths["tiles"]},
        trunk=paths["trunk"],
    )


def with_cascade(package, **values):
    cascade = Cascade(slope=0.5, intercept=1.0, share=0.5, **values)
    manifest = package.manifest.model_copy(update={"cascade": cascade})
    return ModelPackage(
        directory=package.directory,
        manifest=manifest,
        evaluation=package.evaluation,
        members=package.members,
        trunk=package.trunk,
    )


STACKS = np.random.default_rng(1).integers(0, 256, (3, 3, 32, 32, 3), dtype=np.uint8)


def test_a_package_of_members_scores_photos_one_by_one_and_together(package):
    score = scorer_of(package)
    found = score(STACKS)
    assert found.embedding.shape == (3, 3)
    assert found.tiles_seen.all()
    assert found.logit == pytest.approx(0.7 * found.view + 0.3 * found.tiles)
    assert np.ptp(found.view) > 1e-3
    alone = [score(STACKS[index : index + 1]) for index in range(3)]
    assert [float(each.logit[0]) for each in alone] == pytest.approx(found.logit.tolist(), abs=1e-4)
    # The order of the tiles says nothing, and the view is not one of them.
    turned = score(STACKS[:, [0, 2, 1]])
    assert turned.logit == pytest.approx(found.logit, abs=1e-5)
    assert score(STACKS[:, [1, 0, 2]]).view != pytest.approx(found.view, abs=1e-3)


def test_tiles_are_left_out_where_the_cascade_says_so(package):
    plain = scorer_of(package)(STACKS)
    middle = float(np.median(plain.view))
    found = scorer_of(with_cascade(package, below=middle, above=middle))(STACKS)
    assert found.tiles_seen.tolist() == (plain.view == middle).tolist()
    assert np.isnan(found.tiles[~found.tiles_seen]).all()
    expected = np.where(found.tiles_seen, plain.tiles, 0.5 * plain.view + 1)
    assert found.logit == pytest.approx(0.7 * plain.view + 0.3 * expected, abs=1e-4)


def test_logits_count_within_their_limit(manifest):
    view, tiles = (manifest.member(name) for name in ("view", "tiles"))
    cascade = Cascade(below=-2, above=2, slope=10.0, intercept=0, share=0.5)
    logits = np.array([-30.0, -2.0, 2.0, 2.1])
    assert looked_at(logits, cascade).tolist() == [False, True, True, False]
    assert looked_at(logits, None).all()
    found = package_logit(logits, np.array([np.nan, 1.0, 40.0, np.nan]), view, tiles, cascade)
    assert found == pytest.approx(
        [0.7 * -10 + 0.3 * -10, 0.7 * -2 + 0.3, 0.7 * 2 + 0.3 * 10, 0.7 * 2.1 + 0.3 * 10]
    )


def test_scores_are_kept_under_what_they_depend_on(package):
    other = with_cascade(package, below=-1, above=1)
    assert digest_of(other) != digest_of(package)
    thresholds = package.manifest.thresholds.model_copy(update={"ai_above": 0.95})
    judged_otherwise = ModelPackage(
        directory=package.directory,
        manifest=package.manifest.model_copy(update={"thresholds": thresholds}),
        evaluation=package.evaluation,
    )
    assert digest_of(judged_otherwise) == digest_of(package)
