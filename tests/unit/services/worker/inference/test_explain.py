"""A heatmap from either engine; packages exported before it existed serve on without."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from services.training.package.export import export
from services.worker.engines.openvino import OpenVinoEngine
from services.worker.engines.torch_cuda import TorchEngine
from services.worker.inference.explain import NoEvidenceError, explain
from shared.core.settings import REPOSITORY_ROOT
from shared.ml import network
from shared.ml.network import build_backbone
from shared.ml.package import NetworkFiles, load_package
from shared.ml.preprocess import preprocess
from shared.ml.spec import Normalization, PreprocessSpec
from tests.support.photos import samples

SPEC = PreprocessSpec(resize_short=96, height=96, width=96)


def small_package(folder):
    """A package around a small untrained network."""
    torch.manual_seed(0)
    normalization = Normalization(mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))
    images = np.stack([preprocess(data, SPEC) for _, data in samples()][:4])
    state = build_backbone("test_efficientnet").state_dict()
    done = export("test_efficientnet", state, normalization, SPEC, images, folder)
    shipped = load_package(REPOSITORY_ROOT / "models" / "0.3.1")
    update = {
        "architecture": "test_efficientnet",
        "preprocess": SPEC,
        "normalization": normalization,
    }
    manifest = shipped.manifest.model_copy(update=update)
    return replace(
        shipped, manifest=manifest, network=NetworkFiles(done.weights, done.xml, done.bin)
    )


def test_both_engines_explain_the_logit_that_they_predict(tmp_path):
    package = small_package(tmp_path)
    data = samples()[0][1]
    pixels = preprocess(data, SPEC)
    maps = []
    for engine in (OpenVinoEngine(package, batch_size=4), TorchEngine(package, 4, "cpu")):
        result = explain(data, package, engine)
        assert result.logit == pytest.approx(
            float(engine.predict(pixels[None]).logits[0]), abs=1e-3
        )
        assert result.cells.shape == (3, 3)
        assert result.cells.mean() == pytest.approx(result.logit, abs=1e-4)
        assert result.png.startswith(b"\x89PNG")
        maps.append(result.cells)
    assert maps[0] == pytest.approx(maps[1], abs=0.02)


def test_a_package_without_evidence_serves_and_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr("shared.ml.network.has_evidence", lambda _: False)
    package = small_package(tmp_path)
    monkeypatch.setattr("services.worker.engines.torch_cuda.has_evidence", lambda _: False)
    data = samples()[0][1]
    pixels = preprocess(data, SPEC)
    cpu, gpu = OpenVinoEngine(package, batch_size=4), TorchEngine(package, 4, "cpu")
    assert cpu.predict(pixels[None]).logits == pytest.approx(
        gpu.predict(pixels[None]).logits, abs=0.02
    )
    for engine in (cpu, gpu):
        with pytest.raises(NoEvidenceError, match=package.manifest.version):
            explain(data, package, engine)


def test_the_champions_architecture_has_evidence():
    shipped = load_package(REPOSITORY_ROOT / "models" / "0.3.1")
    assert network.has_evidence(build_backbone(shipped.manifest.architecture))
