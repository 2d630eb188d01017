"""From a filled store to a package, on a made-up ViT of width 128 and 60 photos."""

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from services.training.errors import TrainingError
from services.training.eyes.store import STACKS
from services.training.eyes.workspace import open_workspace
from services.training.public.config import PublicConfig
from services.training.public.fill import fill
from services.training.public.frozen import pretrained_tiles, pretrained_trunk
from services.training.public.readers import reader_of
from services.training.public.train import train
from services.training.public.trunks import CLIP
from shared.ml.members.view_torch import ViewNetwork
from shared.ml.members.weights import dequantised
from shared.ml.package import load_package
from shared.ml.torch_compat import ensure_torchvision_imports
from tests.support.public_sets import made_config, openfake_shard, photo

WIDTH, BLOCKS, SIZE = 128, 4, 32


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """Networks this small only wait for each other on several threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """Random weights under timm's keys: of a small CLIP ViT, and of the tiles' EfficientNet."""
    folder = tmp_path_factory.mktemp("weights")
    torch.manual_seed(0)
    view = ViewNetwork(WIDTH, 16, (SIZE // 16) ** 2, BLOCKS, 3)
    state = {key: torch.randn(value.shape) * 0.05 for key, value in view.state_dict().items()}
    state["norm.weight"] = torch.ones(WIDTH)
    save_file(state, folder / "trunk.safetensors")
    ensure_torchvision_imports()
    import timm

    lite = timm.create_model("tf_efficientnet_lite0", num_classes=10)
    save_file(lite.state_dict(), folder / "tiles.safetensors")
    return folder


@pytest.fixture
def config(weights) -> PublicConfig:
    return made_config(
        trunk_weights=str(weights / "trunk.safetensors"),
        tiles_weights=str(weights / "tiles.safetensors"),
        batch=16,
        validation_share=0.3,
        eyes={
            "spec": {"size": SIZE, "tiles": 2, "grid": 2, "max_long": 224},
            "blocks": BLOCKS,
            "trunk_blocks": 3,
            "tune": {"steps": 2, "batch": 8, "checkpoint_every": 1},
            "package": {"version": "tiny"},
        },
    )


@pytest.fixture
def store(config, tmp_path):
    """Sixty photos of twelve sources whose look says nothing of the label."""
    for shard in range(6):
        rows = [
            (
                photo(shard * 10 + n, n // 2 % 2, 40),
                ("real", "fake")[n % 2],
                ("laion", "made")[n % 2],
            )
            for n in range(10)
        ]
        openfake_shard(tmp_path / "data" / "core" / f"train-{shard}.parquet", rows)
    folder = tmp_path / "store"
    fill(config, reader_of(config, tmp_path / "data"), folder, lambda _line: None)
    return folder


def test_a_store_becomes_a_package_that_loads(config, store, tmp_path):
    lines = []
    output = train(config, store, tmp_path / "models" / "candidate", lines.append)
    found = load_package(output).manifest
    assert found.version == "tiny"
    assert {member.name for member in found.members} == {"view", "tiles"}
    # The terms of the data travel with what was trained on it.
    assert found.training.config["public"]["data"]["licence"] == "CC-BY-4.0"
    assert "openai (MIT)" in found.training.base_weights
    # Tokens and statistics are those of the stored images.
    space = open_workspace(store)
    assert space.have_tokens.all()
    assert space.have_statistics.all()
    stacks = np.load(store / STACKS)
    network = ViewNetwork.from_weights(dequantised(pretrained_trunk(config)), 3).eval()
    pixels = torch.from_numpy(stacks[7, 1, :1]).permute(0, 3, 1, 2).float() / 255
    mean, std = (torch.tensor(each).view(1, 3, 1, 1) for each in (CLIP.mean, CLIP.std))
    with torch.inference_mode():
        tokens, classes = network.trunk_tokens((pixels - mean) / std)
        tiles = torch.from_numpy(stacks[7, 1, 1:]).permute(0, 3, 1, 2).float() / 127.5 - 1
        statistics = pretrained_tiles(config).statistics(tiles)
    np.testing.assert_allclose(space.tokens[7, 1], tokens[0].numpy(), atol=2e-3)
    np.testing.assert_allclose(space.classes[7, 1], classes[0].numpy(), atol=2e-3)
    np.testing.assert_allclose(space.statistics[7, 1], statistics.numpy(), rtol=2e-3, atol=2e-3)
    # Nothing is computed twice: the second run finds every fold.
    lines.clear()
    train(config, store, output, lines.append)
    assert "views of version 0: 0 photos read" in lines
    assert not [line for line in lines if "learning from" in line]


def test_a_trunk_without_a_package_stops_after_the_folds(config, store, tmp_path):
    other = config.model_copy(update={"trunk": "openclip-b32-laion400m"})
    lines = []
    assert train(other, store, tmp_path / "models" / "candidate", lines.append) is None
    assert "no package can be made of openclip-b32-laion400m" in lines[-1]
    assert (store / "tiny" / "fold-1" / "view.pt").is_file()
    assert not (tmp_path / "models").exists()


def test_what_is_missing_is_said_before_any_work(config, store, tmp_path, weights):
    with pytest.raises(TrainingError, match="public prepare"):
        train(config, tmp_path, tmp_path / "out")
    nine = config.eyes.model_copy(update={"blocks": 9})
    with pytest.raises(TrainingError, match="has 4 blocks, not 9"):
        train(config.model_copy(update={"eyes": nine}), store, tmp_path / "out", lambda _: None)
    wrong = config.model_copy(update={"trunk_weights": weights / "tiles.safetensors"})
    with pytest.raises(TrainingError, match="lack 'cls_token'"):
        train(wrong, store, tmp_path / "out", lambda _: None)
    gone = config.model_copy(update={"tiles_weights": weights / "gone.safetensors"})
    with pytest.raises(TrainingError, match="cannot be read"):
        train(gone, store, tmp_path / "out", lambda _: None)
