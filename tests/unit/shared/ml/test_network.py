"""The shipped package in both runtimes, from the same files that a worker loads."""

import csv

import numpy as np
import openvino as ov
import pytest
import torch

from shared.core.settings import REPOSITORY_ROOT
from shared.ml.network import Detector, build_backbone, load_detector
from shared.ml.package import load_package
from shared.ml.precision import TOLERANCES
from shared.ml.preprocess import preprocess
from shared.ml.spec import Normalization

SAMPLES = REPOSITORY_ROOT / "data" / "samples"
TOLERANCE = TOLERANCES["f32"].logit


@pytest.fixture(scope="module")
def package():
    return load_package(REPOSITORY_ROOT / "models" / "0.3.1")


@pytest.fixture(scope="module")
def samples():
    with (SAMPLES / "samples.csv").open(newline="") as stream:
        return list(csv.DictReader(stream))


@pytest.fixture(scope="module")
def images(package, samples):
    spec = package.manifest.preprocess
    return np.stack([preprocess((SAMPLES / s["file"]).read_bytes(), spec) for s in samples])


@pytest.fixture(scope="module")
def graph(package):
    config = {"INFERENCE_PRECISION_HINT": "f32"}
    return ov.Core().compile_model(package.openvino_xml, "CPU", config)


@pytest.fixture(scope="module")
def logits(graph, images):
    return graph([images])[0]


def test_the_graph_has_the_documented_interface(graph, package):
    """uint8 photos in, one logit each out, any batch size: what every engine relies on."""
    spec = package.manifest.preprocess
    images, logits = graph.input(0), graph.output(0)
    assert images.get_names() == {"images"}
    assert images.get_element_type() == ov.Type.u8
    assert images.get_partial_shape().to_string() == f"[?,{spec.height},{spec.width},3]"
    assert logits.get_names() == {"logits"}
    assert logits.get_element_type() == ov.Type.f32


def test_openvino_and_torch_agree_on_the_samples(package, images, logits):
    with torch.inference_mode():
        expected = load_detector(package)(torch.from_numpy(images)).numpy()
    assert expected.shape == logits.shape == (len(images),)
    assert np.abs(expected - logits).max() < TOLERANCE


def test_a_photo_is_judged_alike_alone_and_in_a_batch(graph, images, logits):
    alone = np.concatenate([graph([image[None]])[0] for image in images])
    assert np.abs(alone - logits).max() < 1e-3


def test_the_champion_ranks_generated_samples_above_real_ones(samples, logits):
    """More often than not: a package whose labels are turned round does not."""
    scores = {
        label: [value for s, value in zip(samples, logits, strict=True) if s["label"] == label]
        for label in ("real", "ai_generated")
    }
    pairs = [ai > real for ai in scores["ai_generated"] for real in scores["real"]]
    assert np.mean(pairs) > 0.5


def test_normalisation_is_inside_the_network():
    """(pixel / 255 - mean) / std per channel, on photos in NHWC."""
    normalization = Normalization(mean=(0.5, 0.25, 0.0), std=(0.5, 0.25, 1.0))

    class Probe(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.unit = torch.nn.Parameter(torch.ones(()))

        def forward(self, pixels):
            self.seen = pixels
            return pixels.mean((1, 2, 3))[:, None]

    probe = Probe()
    image = torch.tensor([0, 255, 51], dtype=torch.uint8).expand(1, 4, 5, 3)
    assert Detector(probe, normalization)(image).shape == (1,)
    assert probe.seen.shape == (1, 3, 4, 5)
    assert torch.allclose(probe.seen[0, :, 0, 0], torch.tensor([-1.0, 3.0, 0.2]))


def test_base_weights_of_another_network_are_refused(tmp_path, package):
    with pytest.raises(ValueError, match="does not fit"):
        build_backbone("tf_efficientnet_b0", base_weights=package.weights)
