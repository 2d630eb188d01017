"""A model of several runs: the mean of their logits, packaged from their saved weights."""

import json

import pytest
import torch

from services.training.config import ModelConfig
from services.training.errors import TrainingError
from services.training.fit.members import join_members
from services.training.fit.training import BEST, HISTORY
from shared.ml.network import Detector, build_backbone, has_evidence
from shared.ml.spec import Normalization

NAMES = ("test_efficientnet", "test_efficientnet+statistics")
NORMALIZATION = Normalization(mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))


@pytest.fixture
def joint(config):
    model = ModelConfig(architecture="&".join(NAMES), base_weights=None, members=("one", "two"))
    return config.model_copy(update={"model": model})


def backbone_of(name, seed):
    torch.manual_seed(seed)
    backbone = build_backbone(name).eval()
    torch.nn.init.normal_(backbone.get_parameter("classifier.weight"), std=0.05)
    return backbone


@pytest.fixture
def runs(tmp_path):
    for name, run, seed in zip(NAMES, ("one", "two"), (0, 1), strict=True):
        (tmp_path / run).mkdir()
        torch.save(backbone_of(name, seed).state_dict(), tmp_path / run / BEST)
        lines = [{"round": 2, "minutes": 1.0}, {"round": 5 + seed, "minutes": 2.5}]
        text = "".join(json.dumps(line) + "\n" for line in lines)
        (tmp_path / run / HISTORY).write_text(text)
    return tmp_path


def test_the_logit_and_the_evidence_are_the_members_means(joint, runs):
    path = join_members(joint, runs / "joint")
    backbone = build_backbone(joint.model.architecture)
    backbone.load_state_dict(torch.load(path, weights_only=True))
    images = torch.randint(0, 256, (2, 96, 64, 3), dtype=torch.uint8)
    alone = [Detector(backbone_of(n, i), NORMALIZATION).eval() for i, n in enumerate(NAMES)]
    both = Detector(backbone, NORMALIZATION).eval()
    with torch.inference_mode():
        expected = torch.stack([each(images) for each in alone]).mean(0)
        logits, evidence = both.explained(images)
        parts = [each.explained(images)[1].mean((1, 2)) for each in alone]
        assert torch.allclose(both(images), expected, atol=1e-5)
    assert not torch.allclose(alone[0](images), alone[1](images))
    assert torch.allclose(logits, expected, atol=1e-5)
    assert has_evidence(backbone)
    assert torch.allclose(evidence.mean((1, 2)), torch.stack(parts).mean(0), atol=1e-4)


def test_the_history_adds_up_the_members(joint, runs):
    directory = join_members(joint, runs / "joint").parent
    record = json.loads((directory / HISTORY).read_text())
    assert (record["round"], record["minutes"]) == (11, 5.0)


def test_a_missing_member_and_one_of_another_network_are_refused(joint, runs):
    (runs / "two" / BEST).rename(runs / "two" / "away.pt")
    with pytest.raises(TrainingError, match="train two first"):
        join_members(joint, runs / "joint")
    torch.save(backbone_of(NAMES[0], 0).state_dict(), runs / "two" / BEST)
    with pytest.raises(TrainingError, match="do not fit"):
        join_members(joint, runs / "joint")


def test_base_weights_are_refused_for_several_networks(tmp_path):
    with pytest.raises(ValueError, match="one network"):
        build_backbone("&".join(NAMES), base_weights=tmp_path / "any.safetensors")
