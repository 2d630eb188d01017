import pytest
import torch

from services.training.export import fold_batch_norm
from shared.ml.network import build_backbone


@pytest.mark.parametrize("architecture", ["test_efficientnet", "tf_efficientnet_lite0"])
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
