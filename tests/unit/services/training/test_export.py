import numpy as np
import openvino as ov
import pytest
import torch

from services.training.errors import ParityError
from services.training.export import (
    PARITY_TOLERANCE,
    Exported,
    _checked,
    export,
    fold_batch_norm,
    openvino_predictor,
)
from shared.ml.network import Detector, build_backbone, has_evidence
from shared.ml.spec import Normalization, PreprocessSpec
from shared.ml.statistics import StatisticsNetwork

NORMALIZATION = Normalization(mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))
SPEC = PreprocessSpec(resize_short=96, height=96, width=64)


@pytest.mark.parametrize(
    "architecture",
    ["test_efficientnet", "tf_efficientnet_lite0", "tf_efficientnet_lite0+statistics"],
)
def test_folding_batch_norm_keeps_keys_and_function(architecture):
    """With arbitrary statistics in every norm, the folded weights compute the same logits."""
    torch.manual_seed(0)
    backbone = build_backbone(architecture).eval()
    for module in backbone.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.3)
            module.running_var.uniform_(0.5, 2)
            module.weight.data.uniform_(0.5, 1.5)
            module.bias.data.normal_(0, 0.3)
    images = torch.randn(4, 3, 64, 64)
    with torch.inference_mode():
        expected = backbone(images)
        state = backbone.state_dict()
        folded = fold_batch_norm(architecture, state)
        assert folded.keys() == state.keys()
        backbone.load_state_dict(folded)
        actual = backbone(images)
    assert torch.allclose(actual, expected, rtol=1e-3, atol=1e-3 * float(expected.abs().max()))
    assert all(
        torch.all(value == 1)
        for key, value in folded.items()
        if key.removesuffix(".weight") + ".running_var" in folded and key.endswith(".weight")
    )


@pytest.fixture(scope="module", params=["test_efficientnet", "test_efficientnet+statistics"])
def backbone(request):
    torch.manual_seed(1)
    backbone = build_backbone(request.param).eval()
    if isinstance(backbone, StatisticsNetwork):
        count = len(backbone.center)
        spread, weights = torch.rand(count) * 0.3 + 0.1, torch.randn(count) * 0.05
        backbone.start_from(torch.randn(count) * 0.1, spread, weights, torch.tensor(0.7))
    torch.nn.init.constant_(backbone.get_parameter("classifier.bias"), 0.7)
    return backbone


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).integers(0, 256, (5, 96, 64, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def exported(backbone, images, tmp_path_factory):
    folder = tmp_path_factory.mktemp("export")
    state = backbone.state_dict()
    ours = isinstance(backbone, StatisticsNetwork)
    architecture = "test_efficientnet+statistics" if ours else "test_efficientnet"
    return export(architecture, state, NORMALIZATION, SPEC, images, folder)


@pytest.fixture(scope="module")
def graph(exported):
    return ov.Core().compile_model(exported.xml, "CPU")


def test_both_outputs_agree_with_torch(backbone, images, exported, graph):
    with torch.inference_mode():
        logits, evidence = Detector(backbone, NORMALIZATION).explained(torch.from_numpy(images))
    result = graph([images])
    assert result["evidence"].shape == tuple(evidence.shape) == (5, 3, 2)
    assert result["evidence"].dtype == np.float32
    assert np.abs(result["logits"] - logits.numpy()).max() < PARITY_TOLERANCE
    assert np.abs(result["evidence"] - evidence.numpy()).max() < 2 * PARITY_TOLERANCE
    assert exported.parity_max_abs < PARITY_TOLERANCE
    assert exported.evidence_parity_max_abs < 2 * PARITY_TOLERANCE
    assert openvino_predictor(exported.xml)(images) == pytest.approx(result["logits"])


def test_the_evidence_is_complete(images, graph):
    """Its mean plus the head's bias is the logit: nothing else takes part."""
    result = graph([images])
    assert result["evidence"].mean((1, 2)) + 0.7 == pytest.approx(result["logits"], abs=2e-3)
    assert result["evidence"].std() > 0


def test_a_backbone_of_another_ending_is_not_explained():
    backbone = build_backbone("test_efficientnet")
    assert has_evidence(backbone)
    backbone.global_pool.pool_type = "max"
    with pytest.raises(ValueError, match="pooling and a linear head"):
        Detector(backbone, NORMALIZATION).explained(torch.zeros((1, 64, 64, 3), dtype=torch.uint8))


@pytest.mark.parametrize(
    ("precision", "difference", "good"),
    [("f32", 0.01, True), ("f32", 0.05, False), ("bf16", 0.05, True), ("bf16", 0.3, False)],
)
def test_graphs_that_disagree_are_refused(exported, precision, difference, good):
    found = Exported(exported.weights, exported.xml, exported.bin, difference, None, precision)
    if good:
        assert _checked(found) is found
    else:
        with pytest.raises(ParityError, match=precision):
            _checked(found)
