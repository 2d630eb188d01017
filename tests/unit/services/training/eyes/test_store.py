"""The training store and what is computed of it: the same arrays as in serving, made once."""

import csv
import hashlib
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from services.training.errors import TrainingError
from services.training.eyes import store
from services.training.eyes.degrade import degraded, kept
from services.training.eyes.sampling import read_columns
from services.training.eyes.tokens import CLIP_NORMALIZATION, compute_tokens
from services.training.eyes.workspace import open_workspace
from shared.ml.members.view_torch import ViewNetwork
from shared.ml.preprocess import preprocess, upright
from shared.ml.spec import StackSpec
from tests.support.eyes import PATCHES, SIZE, TRUNK_BLOCKS, WIDTH, tiny_view, trunk_of

SPEC = StackSpec(size=SIZE, tiles=2)
FIELDS = [
    *("file", "sha256", "label", "generator", "group", "split", "category", "source_repo"),
    *("source_sha256", "source_width", "source_height", "width", "height"),
]


def photo(folder, number):
    pixels = np.random.default_rng(number).integers(0, 256, (70, 90, 3), dtype=np.uint8)
    path = folder / f"{number}.png"
    Image.fromarray(pixels).save(path)
    return path


@pytest.fixture
def dataset(tmp_path):
    """Twelve photos: two repositories, both classes; the first has its original."""
    folder, originals = tmp_path / "dataset", tmp_path / "originals"
    folder.mkdir()
    rows = []
    for number in range(12):
        path = photo(folder, number)
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        values = [
            path.name, digest, "ai_generated" if number % 2 else "real", "g", f"group-{number % 4}",
            "val" if number >= 8 else "train", "shoes", "" if number == 3 else f"shop/{number % 4}",
            "", "", "", "90", "70",
        ]  # fmt: skip
        rows.append(dict(zip(FIELDS, values, strict=True)))
    data = photo(folder, 99).read_bytes()
    digest = hashlib.sha256(data).hexdigest()
    (originals / digest[:2]).mkdir(parents=True)
    (originals / digest[:2] / digest).write_bytes(data)
    rows[0] |= {"source_sha256": digest, "source_width": "900", "source_height": "700"}
    with (folder / "manifest.csv").open("w", newline="") as stream:
        writer = csv.DictWriter(stream, FIELDS)
        writer.writeheader()
        writer.writerows(rows)
    return folder, originals


def chosen(dataset, cap=30, splits=("train", "val")):
    folder, originals = dataset
    return store.choose_items(folder / "manifest.csv", folder, originals, cap, splits)


def test_photos_are_chosen_originals_first_and_not_too_many_of_a_source(dataset):
    items = chosen(dataset)
    assert [item.sha256 for item in items] == sorted(item.sha256 for item in items)
    assert len(items) == 12
    (original,) = (item for item in items if item.is_original)
    assert (original.width, original.height) == (900, 700)
    assert original.path.is_relative_to(dataset[1])
    assert {item.repository for item in items} == {
        "shop/0",
        "shop/1",
        "shop/2",
        "shop/3",
        "group-3",
    }
    few = chosen(dataset, cap=1)
    assert len({(i.repository, i.label, i.split) for i in few}) == len(few)
    assert original in few
    assert {item.split for item in chosen(dataset, splits=("val",))} == {"val"}
    (dataset[0] / "5.png").unlink()
    assert len(chosen(dataset)) == 11


def test_a_missing_manifest_is_named(tmp_path):
    with pytest.raises(TrainingError, match=r"manifest .*none\.csv cannot be read"):
        store.choose_items(tmp_path / "none.csv", tmp_path, tmp_path, 1, ("train",))


def test_the_store_holds_what_serving_would_read(dataset, tmp_path):
    """Both versions of each photo, a broken file left out, and a second run does nothing."""
    items = chosen(dataset)
    items[4].path.write_bytes(b"no photo")
    folder, said = tmp_path / "store", []
    store.build(items, folder, SPEC, 1, said.append)
    stacks, done = np.load(folder / store.STACKS), np.load(folder / store.DONE)
    assert stacks.shape == (12, 2, *SPEC.shape)
    assert np.flatnonzero(~done).tolist() == [4]
    for index in (0, 7):
        rng = np.random.default_rng(int(items[index].sha256[:12], 16))
        source = upright(items[index].path.read_bytes())
        for version, change in enumerate((kept, degraded)):
            served = preprocess(change(source, rng), SPEC)
            assert np.array_equal(stacks[index, version], served)
    columns = read_columns(folder / store.ROWS)
    assert columns.sha256.tolist() == [item.sha256 for item in items]
    assert columns.label.tolist() == [item.label for item in items]
    assert columns.is_original.sum() == 1

    items[4].path.write_bytes(items[5].path.read_bytes())
    store.build(items, folder, SPEC, 1, said.append)
    assert said == ["12 of 12 photos", "1 of 1 photos"]
    assert np.load(folder / store.DONE).all()
    assert np.array_equal(np.load(folder / store.STACKS)[:4], stacks[:4])


def made(folder, count=3, seed=0):
    """Stacks of noise, as a store has them."""
    folder.mkdir(exist_ok=True)
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (count, 2, *SPEC.shape), dtype=np.uint8)


def test_tokens_are_those_of_the_network_in_torch(tmp_path):
    stacks, trunk = made(tmp_path, count=9), trunk_of(tiny_view())
    ready = np.ones((9, 2), bool)
    ready[5, 0] = ready[2:, 1] = False
    compute_tokens(stacks, ready, trunk, tmp_path, lambda line: None)
    tokens, classes = np.load(tmp_path / "tokens.npy"), np.load(tmp_path / "classes.npy")
    assert tokens.shape == (9, 2, 1 + PATCHES, WIDTH)
    assert np.array_equal(np.load(tmp_path / "tokens_done.npy"), ready)
    assert not tokens[~ready].any()
    network = ViewNetwork.from_weights(trunk, TRUNK_BLOCKS).eval()
    mean, std = (torch.tensor(each) for each in (CLIP_NORMALIZATION.mean, CLIP_NORMALIZATION.std))
    images = (torch.from_numpy(stacks[ready][:, 0]) / 255 - mean) / std
    with torch.inference_mode():
        x, first = network.trunk_tokens(images.permute(0, 3, 1, 2))
    assert tokens[ready] == pytest.approx(x.numpy(), abs=2e-2)
    assert classes[ready] == pytest.approx(first.numpy(), abs=2e-2)


def test_tokens_of_other_photos_or_another_trunk_are_made_anew(tmp_path, dataset):
    folder, trunk = tmp_path / "store", trunk_of(tiny_view())
    stacks, ready = made(folder), np.ones((3, 2), bool)
    compute_tokens(stacks, ready, trunk, folder, lambda line: None)
    first = np.load(folder / "tokens.npy")
    # Made once: other stacks in the same place are not looked at.
    compute_tokens(made(folder, seed=1), ready, trunk, folder, lambda line: None)
    assert np.array_equal(np.load(folder / "tokens.npy"), first)
    # A trunk of one block has other class tokens; all of it is made again.
    shorter = {key: value for key, value in trunk.items() if not key.startswith("blocks.1.")}
    compute_tokens(stacks, ready, shorter, folder, lambda line: None)
    assert np.load(folder / "classes.npy").shape == (3, 2, 1, WIDTH)
    assert np.load(folder / "classes.npy").any((2, 3)).all()
    assert not np.array_equal(np.load(folder / "tokens.npy"), first)
    # Other photos in the store: nothing computed of it counts.
    np.save(folder / "statistics.done.npy", ready)
    store.build(chosen(dataset)[:3], folder, SPEC, 1, lambda line: None)
    assert not (folder / "tokens_done.npy").exists()
    assert not (folder / "statistics.done.npy").exists()


def test_a_grown_store_computes_only_what_is_new(tmp_path, dataset):
    every, trunk = chosen(dataset), trunk_of(tiny_view())
    older, folder = tmp_path / "older", tmp_path / "store"
    store.build(every[1::2], older, SPEC, 1, lambda line: None)
    stacks, ready = np.load(older / store.STACKS), np.ones((6, 2), bool)
    compute_tokens(stacks, ready, trunk, older, lambda line: None)
    assert store.grow(every, folder, SPEC, older) == 6
    said = []
    store.build(every, folder, SPEC, 1, said.append)
    assert said == ["6 of 6 photos"]
    assert np.array_equal(np.load(folder / store.STACKS)[1::2], stacks)
    done = np.load(folder / "tokens_done.npy")
    assert done[1::2].all()
    assert not done[::2].any()
    assert np.array_equal(np.load(folder / "tokens.npy")[1::2], np.load(older / "tokens.npy"))
    # It is there already: nothing of what was computed since is thrown away.
    assert store.grow(every, folder, SPEC, older) == 0
    assert np.load(folder / store.DONE).all()


def test_a_photo_whose_original_came_later_is_decoded_anew(tmp_path, dataset):
    every = chosen(dataset)
    (place,) = [number for number, item in enumerate(every) if item.is_original]
    before = [replace(item, is_original=False) for item in every]
    store.build(before, tmp_path / "older", SPEC, 1, lambda line: None)
    assert store.grow(every, tmp_path / "store", SPEC, tmp_path / "older") == 11
    assert np.flatnonzero(~np.load(tmp_path / "store" / store.DONE)).tolist() == [place]


def test_a_store_of_other_tiles_or_none_does_not_grow(tmp_path, dataset):
    every, older = chosen(dataset), tmp_path / "older"
    with pytest.raises(TrainingError, match="older cannot be read"):
        store.grow(every, tmp_path / "store", SPEC, older)
    store.build(every[:1], older, SPEC.model_copy(update={"tiles": 1}), 1, lambda line: None)
    with pytest.raises(TrainingError, match="was decoded as edition=2"):
        store.grow(every, tmp_path / "store", SPEC, older)
    assert not (tmp_path / "store").exists()


def test_a_store_that_is_not_complete_says_what_to_run(tmp_path):
    with pytest.raises(TrainingError, match="eyes store"):
        open_workspace(tmp_path)
