"""Configurations of public data sets: terms, networks, and the shipped ones."""

import pytest
from typer.testing import CliRunner

from services.training.cli import app
from services.training.errors import TrainingError
from services.training.eyes.assemble import TILES_ARCHITECTURE, VIEW_ARCHITECTURE
from services.training.eyes.tile_features import LITE_NORMALIZATION
from services.training.eyes.tokens import CLIP_NORMALIZATION
from services.training.public.config import load_public_config
from services.training.public.trunks import TILES, TRUNKS
from shared.core.settings import REPOSITORY_ROOT
from shared.ml.statistics import SUFFIX
from tests.support.public_sets import made_config

CONFIGS = sorted((REPOSITORY_ROOT / "services/training/configs/public").glob("*.yaml"))


def call(*arguments):
    done = CliRunner().invoke(app, ["public", *(str(each) for each in arguments)])
    return done.exit_code, " ".join(done.stderr.split())


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_each_shipped_configuration_is_refused_until_its_licence_is_accepted(path, tmp_path):
    config = load_public_config(path)
    assert config.name == path.stem
    for command in (
        ("prepare", path, "--data", tmp_path, "--store", tmp_path),
        ("train", path, "--store", tmp_path),
        ("run", path, "--data", tmp_path, "--store", tmp_path),
    ):
        code, told = call(*command)
        assert code == 2
        assert config.data.licence in told
        assert "--accept-non-commercial" in told
    code, told = call(
        "prepare", path, "--data", tmp_path, "--store", tmp_path / "s", "--accept-non-commercial"
    )
    assert (code, "has no f" in told) == (2, True)


def test_all_three_data_sets_have_a_configuration():
    assert [path.stem for path in CONFIGS] == ["community-forensics", "genimage", "openfake"]


def test_a_non_commercial_licence_cannot_be_called_commercial(tmp_path):
    text = CONFIGS[0].read_text().replace("non_commercial: true", "non_commercial: false")
    (tmp_path / "lying.yaml").write_text(text)
    with pytest.raises(TrainingError, match="is non-commercial: say so"):
        load_public_config(tmp_path / "lying.yaml")


def test_a_misspelt_field_is_named(tmp_path):
    (tmp_path / "wrong.yaml").write_text(CONFIGS[0].read_text() + "\nstore_size: 3\n")
    with pytest.raises(TrainingError, match=r"(?s)wrong\.yaml.*store_size"):
        load_public_config(tmp_path / "wrong.yaml")


def test_a_trunk_off_the_class_token_route_says_why_and_what_to_take():
    with pytest.raises(ValueError, match=r"QuickGELU; take clip-b16-openai"):
        made_config(trunk="openclip-b16-laion2b")
    with pytest.raises(ValueError, match="known are"):
        made_config(trunk="resnet50")
    with pytest.raises(ValueError, match="known are"):
        made_config(tiles="resnet50")


def test_the_table_of_trunks_is_what_timm_says():
    from shared.ml.torch_compat import ensure_torchvision_imports

    ensure_torchvision_imports()
    from timm.models import get_pretrained_cfg

    for name, network in TRUNKS.items():
        found = get_pretrained_cfg(network.timm_name)
        assert found.input_size[1] == network.size, name
        assert (found.mean, found.std) == (network.normalization.mean, network.normalization.std)
        assert f"patch{network.patch}_" in network.timm_name
        # What the route needs of a trunk stands in timm's names.
        assert (network.obstacle is None) == ("clip_quickgelu" in network.timm_name)


def test_what_can_be_packaged_is_what_packages_name():
    views = [each for each in TRUNKS.values() if each.packaged]
    tiles = [each for each in TILES.values() if each.packaged]
    assert [each.timm_name.split(".")[0] for each in views] == [VIEW_ARCHITECTURE]
    assert [each.normalization for each in views] == [CLIP_NORMALIZATION]
    assert [f"{each.timm_name.split('.')[0]}{SUFFIX}" for each in tiles] == [TILES_ARCHITECTURE]
    assert [each.normalization for each in tiles] == [LITE_NORMALIZATION]


def test_discard_is_only_for_what_was_downloaded(tmp_path):
    code, told = call(
        "prepare", CONFIGS[-1], "--data", tmp_path, "--store", tmp_path, "--discard",
        "--accept-non-commercial",
    )  # fmt: skip
    assert (code, "goes with --download only" in told) == (2, True)
