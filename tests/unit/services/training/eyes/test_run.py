"""The whole run on 48 small photos: from files to a package that says what was measured."""

import csv
import hashlib
import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from openvino import opset15 as op
from PIL import Image
from safetensors.numpy import save_file

from services.training.errors import TrainingError
from services.training.eyes.assemble import view_state
from services.training.eyes.config import EyesConfig
from services.training.eyes.run import (
    Eyes,
    joined,
    judge,
    package,
    pretrained_stages,
    run_fold,
    run_whole,
    tuned,
)
from services.training.eyes.sampling import folds
from services.training.eyes.store import DONE, STACKS, build, choose_items
from services.training.eyes.tile_features import LITE_NORMALIZATION, compute_statistics
from services.training.eyes.tokens import CLIP_NORMALIZATION, compute_tokens, normalised
from services.training.eyes.workspace import STATISTICS, open_workspace
from shared.ml.members.tiles_graph import tiles_nodes
from shared.ml.members.view_graph import view_nodes
from shared.ml.members.weights import dequantised, quantised, read_state
from shared.ml.network import build_backbone
from shared.ml.package import load_package
from shared.ml.spec import StackSpec
from tests.support.eyes import BLOCKS, SIZE, TRUNK_BLOCKS, compiled, tiny_view

LEARNING, UNTOUCHED = 8, 4


def config(output):
    return EyesConfig.model_validate(
        {
            "spec": StackSpec(size=SIZE, tiles=2),
            "blocks": BLOCKS,
            "trunk_blocks": TRUNK_BLOCKS,
            "tune": {"steps": 2, "batch": 8, "checkpoint_every": 2},
            "fusing_share": 0.5,
            "tiles_c": 0.01,
            "package": {"version": "0.0.0-test", "output": str(output)},
        }
    )


def write_photos(folder):
    """Generated photos are striped, real ones noisy, on grounds of any brightness."""
    (folder / "images").mkdir(parents=True)
    rng = np.random.default_rng(0)
    rows = []
    for number in range(4 * (LEARNING + UNTOUCHED)):
        repository, label = number // 4, number % 2
        texture = rng.normal(0, 30, (80, 80, 3))
        if label:
            texture = 40 * np.sin(np.arange(80) * 1.5)[None, :, None] + texture / 8
        ground = rng.uniform(60, 190, 3)
        pixels = np.clip(ground + texture, 0, 255).astype(np.uint8)
        file = f"images/{number:02d}.png"
        Image.fromarray(pixels).save(folder / file)
        rows.append(
            {
                "file": file,
                "sha256": hashlib.sha256((folder / file).read_bytes()).hexdigest(),
                "label": "ai_generated" if label else "real",
                "generator": "g",
                "group": f"group-{repository}",
                "split": "train" if repository < LEARNING else "val",
                "category": "shoes",
                "source_repo": f"shop/{repository}",
                "source_sha256": "",
                "source_width": "",
                "source_height": "",
                "width": "80",
                "height": "80",
            }
        )
    with (folder / "manifest.csv").open("w", newline="") as stream:
        writer = csv.DictWriter(stream, rows[0])
        writer.writeheader()
        writer.writerows(rows)


def random_stages(path):
    """Write random weights of a tiles' network under which its statistics spread."""
    torch.manual_seed(0)
    backbone = build_backbone("tf_efficientnet_lite0+statistics").eval()
    with torch.no_grad():
        for module in backbone.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.weight.uniform_(0.5, 1.5)
                module.bias.uniform_(-0.5, 0.5)
    save_file({key: value.numpy() for key, value in backbone.state_dict().items()}, path)
    return path


@pytest.fixture(scope="module")
def eyes(tmp_path_factory):
    """A store with tokens and statistics; of a third of the photos in one version only."""
    folder = tmp_path_factory.mktemp("eyes")
    settings = config(folder / "models" / "package")
    write_photos(folder / "dataset")
    manifest = folder / "dataset" / "manifest.csv"
    items = choose_items(manifest, folder / "dataset", folder / "none", 30, ("train", "val"))
    store = folder / "store"
    build(items, store, settings.spec, 1, lambda line: None)
    stacks, done = np.load(store / STACKS), np.load(store / DONE)
    assert done.all()
    ready = np.ones((len(done), 2), bool)
    ready[32:, 1] = False
    pretrained = quantised(tiny_view(head=False))
    stages = pretrained_stages(random_stages(folder / "stages.safetensors"))
    upper = tuple(f"blocks.{number}." for number in range(TRUNK_BLOCKS, BLOCKS))
    trunk = {k: v for k, v in dequantised(pretrained).items() if not k.startswith(upper)}
    compute_tokens(stacks, ready, trunk, store, lambda line: None)
    compute_statistics(stacks, ready, stages, store / STATISTICS, lambda line: None)
    return Eyes(settings, open_workspace(store), pretrained, stages, store / "run")


@pytest.fixture(scope="module")
def packaged(eyes):
    """Both folds and the package of them, and what was said."""
    said = []
    for number in range(eyes.config.folds):
        run_fold(eyes, number, said.append)
    manifest = package(eyes, eyes.config.package.output, said.append)
    return manifest, said


def test_each_fold_judges_the_repositories_that_it_has_not_seen(eyes, packaged):
    rows = eyes.space.rows("train")
    seen = []
    for number in range(2):
        with np.load(eyes.folder / f"fold-{number}" / "judged.npz") as found:
            judged = found["row"]
            assert set(found["version"]) == {0, 1}
        held = rows[folds(eyes.space.columns.repository[rows], 2) == number]
        assert set(judged) == set(held)
        seen.append(set(eyes.space.columns.repository[judged]))
    assert not seen[0] & seen[1]
    assert all(seen)


def test_a_fold_that_was_run_is_not_repeated(eyes, packaged):
    said = []
    run_fold(eyes, 0, said.append)
    assert not said


def test_the_package_is_whole_and_says_how_it_was_made(eyes, packaged):
    manifest, _ = packaged
    loaded = load_package(eyes.config.package.output)
    assert loaded.manifest == manifest
    assert loaded.trunk == eyes.config.package.output.parent / "trunks" / manifest.trunk.file.name
    assert manifest.trunk.file.name == f"{manifest.trunk.file.sha256}.safetensors"
    assert manifest.trunk.blocks == TRUNK_BLOCKS
    assert manifest.preprocess == eyes.config.spec
    assert manifest.training.n_train == 4 * LEARNING
    assert manifest.training.n_calibration == 4 * UNTOUCHED
    assert manifest.thresholds.false_accusation_budget == 0.01
    assert manifest.at_budget(0.05).thresholds.false_accusation_budget == 0.05
    report = json.loads(loaded.evaluation.read_text())["validation"]
    assert set(report) == {"out_of_fold", "carried_over", "chosen"}
    carried = report["carried_over"]
    assert carried["real_repositories"] == UNTOUCHED
    assert {"auc", "recall_at_1pct_fpr", "points"} < set(carried)
    budgets = [point["budget"] for point in carried["points"]]
    assert budgets == [0.005, 0.01, 0.02, 0.05]
    for point in carried["points"]:
        assert all(0 <= point[name] <= 1 for name in ("accused", "found", "missed"))
    assert json.loads((eyes.folder / "operating.json").read_text())["validation"] == report


def test_the_packaged_view_says_in_openvino_what_was_measured(eyes, packaged):
    manifest, _ = packaged
    loaded = load_package(eyes.config.package.output)
    view = read_state(loaded.members["view"])
    weights = read_state(loaded.trunk) | view
    with np.load(eyes.folder / "untouched.npz") as found:
        first = found["version"] == 0
        rows, every, measured = found["row"][first], found["view"], found["view"][first]
    stacks = np.load(eyes.space.folder / STACKS)[rows, 0]
    images = op.parameter([-1, SIZE, SIZE, 3], np.uint8)
    member = manifest.member("view")
    assert member.normalization == CLIP_NORMALIZATION
    nodes = view_nodes(normalised(images, member.normalization), weights)
    (tokens,) = compiled([nodes.tokens], [images])([np.ascontiguousarray(stacks[:, 0])]).values()
    logits = tokens.reshape(len(rows), -1) @ weights["head.weight"] + weights["head.bias"]
    # What was measured is brought to the spread of the folds' own logits, ranks kept.
    spreads = [
        np.load(eyes.folder / f"fold-{number}" / "untouched.npz")["view"].std()
        for number in range(eyes.config.folds)
    ]
    measured = measured * np.sqrt(np.mean(np.square(spreads))) / every.std()
    # Tokens were kept as float16.
    assert logits == pytest.approx(measured, abs=0.02)
    assert np.ptp(measured) > 0.1
    network = joined(eyes, view)
    assert judge_again(eyes, network, rows) == pytest.approx(measured, abs=1e-5)


def judge_again(eyes, network, rows):
    from services.training.eyes.tune import score

    return score(network, eyes.space.tokens, eyes.space.classes, rows, 0)[0]


def test_the_packaged_tiles_say_in_openvino_what_was_measured(eyes, packaged):
    manifest, _ = packaged
    weights = read_state(load_package(eyes.config.package.output).members["tiles"])
    with np.load(eyes.folder / "untouched.npz") as found:
        first = found["version"] == 0
        rows, measured = found["row"][first], found["tiles"][first]
    stacks = np.load(eyes.space.folder / STACKS)[rows, 0]
    images = op.parameter([-1, SIZE, SIZE, 3], np.uint8)
    member = manifest.member("tiles")
    assert member.normalization == LITE_NORMALIZATION
    nodes = tiles_nodes(normalised(images, member.normalization), weights, evidence=False)
    graph = compiled([nodes.logits], [images])
    tiles = np.ascontiguousarray(stacks[:, 1:].reshape(-1, SIZE, SIZE, 3))
    (logits,) = graph([tiles]).values()
    assert logits.reshape(len(rows), -1).mean(1) == pytest.approx(measured, abs=0.02)
    assert np.ptp(measured) > 0.1


def test_the_embedding_is_white_on_what_it_was_fitted_on(eyes, packaged):
    manifest, _ = packaged
    trunk = read_state(load_package(eyes.config.package.output).trunk)
    rows = eyes.space.rows("train")
    read = np.array(eyes.space.classes[rows, 0], np.float32).reshape(len(rows), -1)
    embedding = read @ trunk["embedding.weight"].T + trunk["embedding.bias"]
    assert embedding.shape == (len(rows), manifest.embedding.dim)
    assert embedding.mean(0) == pytest.approx(0, abs=0.02)
    assert embedding.std(0, ddof=1) == pytest.approx(1, abs=0.02)
    assert manifest.embedding.photos == len(rows)


def test_a_tuning_on_every_repository_joins_the_mean(eyes, packaged, tmp_path):
    whole = replace(eyes, config=eyes.config.model_copy(update={"whole": True}))
    with pytest.raises(TrainingError, match="whole was not run"):
        package(whole, tmp_path / "package", lambda line: None)
    said = []
    run_whole(whole, said.append)
    assert said[0] == f"whole: learning from {4 * LEARNING} photos"
    said.clear()
    run_whole(whole, said.append)
    assert not said
    names = ["fold-0", "fold-1", "whole"]
    heads = [tuned(whole, name).folded_head()[0] for name in names]
    view = view_state([tuned(whole, name) for name in names], TRUNK_BLOCKS)
    assert view["head.weight"] == pytest.approx(np.mean(heads, axis=0))
    assert not np.array_equal(heads[2], heads[0])


def test_a_package_on_another_ones_trunk_keeps_its_embedding(eyes, packaged, tmp_path):
    """Learned from fewer photos, a trunk of its own would have another projection."""
    manifest, _ = packaged
    fewer = replace(
        eyes, config=eyes.config.model_copy(update={"trunk_of": eyes.config.package.output})
    )
    fewer.space.columns.split[:4] = "val"
    try:
        again = package(fewer, tmp_path / "package", lambda line: None)
    finally:
        fewer.space.columns.split[:4] = "train"
    assert again.trunk == manifest.trunk
    assert load_package(tmp_path / "package").trunk.parent == tmp_path / "trunks"
    other = {key: value.copy() for key, value in eyes.pretrained.items()}
    other["pos_embed"] += 1
    with pytest.raises(TrainingError, match="has other weights"):
        package(replace(fewer, pretrained=other), tmp_path / "other", lambda line: None)


def test_a_fold_that_was_not_run_is_named(eyes, tmp_path):
    missing = Eyes(eyes.config, eyes.space, eyes.pretrained, eyes.stages, tmp_path)
    with pytest.raises(TrainingError, match="fold-0 was not run"):
        package(missing, tmp_path / "package", lambda line: None)


def test_nothing_to_judge_is_said(eyes):
    with pytest.raises(TrainingError, match="none of 0 photos can be judged"):
        judge(eyes.space, None, None, np.zeros(0, np.int64))
