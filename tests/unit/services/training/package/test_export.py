import numpy as np
import pytest
import torch

from services.training.errors import ParityError, TrainingError
from services.training.package.export import (
    Exported,
    _checked,
    compile_graph,
    export,
    fold_batch_norm,
    openvino_predictor,
    parity,
)
from shared.ml.network import Detector, build_backbone, has_evidence
from shared.ml.precision import TOLERANCES, cpu_precisions, processor
from shared.ml.spec import Normalization, PreprocessSpec
from shared.ml.statistics import StatisticsNetwork

NORMALIZATION = Normalization(mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))
SPEC = PreprocessSpec(resize_short=96, height=96, width=64)
TOLERANCE = TOLERANCES["f32"]


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
    return compile_graph(exported.xml)


def test_both_outputs_agree_with_torch(backbone, images, exported, graph):
    with torch.inference_mode():
        logits, evidence = Detector(backbone, NORMALIZATION).explained(torch.from_numpy(images))
    result = graph([images])
    assert result["evidence"].shape == tuple(evidence.shape) == (5, 3, 2)
    assert result["evidence"].dtype == np.float32
    assert np.abs(result["logits"] - logits.numpy()).max() < TOLERANCE.logit
    assert np.abs(result["evidence"] - evidence.numpy()).max() < 2 * TOLERANCE.logit
    assert exported.parity_max_abs < TOLERANCE.logit
    assert exported.evidence_parity_max_abs < 2 * TOLERANCE.logit
    assert openvino_predictor(exported.xml)(images) == pytest.approx(result["logits"])


def test_everything_is_measured_in_float32_on_every_processor(exported, graph):
    assert exported.precision == "f32"
    assert graph.get_property("INFERENCE_PRECISION_HINT").get_type_name() == "f32"


@pytest.mark.parametrize("precision", cpu_precisions(processor()))
def test_each_precision_of_this_processor_stays_within_its_tolerance(
    backbone, images, exported, precision
):
    graph = compile_graph(exported.xml, precision=precision)
    assert graph.get_property("INFERENCE_PRECISION_HINT").get_type_name() == precision
    apart = parity(Detector(backbone, NORMALIZATION), exported.xml, images, precision)
    assert apart["logits"] < TOLERANCES[precision].logit
    found = openvino_predictor(exported.xml, precision=precision)(images)
    assert found == pytest.approx(graph([images])["logits"])


@pytest.mark.skipif(
    not {"avx512f", "avx_ne_convert"}.isdisjoint(processor().flags),
    reason="OpenVINO has or emulates bfloat16 on this processor",
)
def test_a_precision_that_the_processor_lacks_is_not_taken_for_it(exported):
    with pytest.raises(TrainingError, match=r"computes in f32 .* not in bf16"):
        compile_graph(exported.xml, precision="bf16")


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
