"""The projection against textbook whitening, and through export into both engines."""

from dataclasses import replace

import numpy as np
import openvino as ov
import pytest
import torch
from safetensors.torch import load_file, save_file

from services.training.data.photos import Row
from services.training.errors import TrainingError
from services.training.package.embedding import DIM, EmbeddingFit, whitening
from services.training.package.export import compile_graph, export
from services.worker.engines.openvino import OpenVinoEngine
from services.worker.engines.torch_cuda import TorchEngine
from shared.core.settings import REPOSITORY_ROOT
from shared.ml.network import build_backbone, load_detector
from shared.ml.package import NetworkFiles, load_package
from shared.ml.precision import TOLERANCES
from shared.ml.preprocess import preprocess
from shared.ml.spec import Normalization, PreprocessSpec
from tests.support.photos import samples

NORMALIZATION = Normalization(mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))
SPEC = PreprocessSpec(resize_short=96, height=96, width=96)
TOLERANCE = TOLERANCES["f32"]
JOINT = "test_efficientnet&test_efficientnet+statistics"


@pytest.fixture
def features():
    """300 photos with 40 correlated features of very different sizes."""
    rng = np.random.default_rng(0)
    mixing = rng.normal(size=(40, 40)) * np.geomspace(1, 0.01, 40)[:, None]
    return (rng.normal(size=(300, 40)) @ mixing + 3).astype(np.float32)


def test_components_are_white_on_the_photos_of_the_fit(features):
    weight, bias, explained = whitening(features, [40], dim=8)
    embedding = features @ weight.T + bias
    assert embedding.mean(0) == pytest.approx(np.zeros(8), abs=0.05)
    assert np.cov(embedding.T) == pytest.approx(np.eye(8), abs=0.02)
    values = np.linalg.eigvalsh(np.cov(features.astype(np.float64).T))[::-1]
    assert explained == pytest.approx(values[:8].sum() / values.sum(), abs=1e-3)


def test_two_networks_count_alike_whatever_the_size_of_their_numbers(features):
    """Scaling one network's features changes nothing."""
    larger = features * np.repeat([1.0, 50.0], 20).astype(np.float32)
    plain, scaled = whitening(features, [20, 20]), whitening(larger, [20, 20])
    one, other = (x @ w.T + b for x, (w, b, _) in ((features, plain), (larger, scaled)))
    assert one == pytest.approx(other, abs=0.1)
    assert plain[2] == pytest.approx(scaled[2], abs=1e-3)


def test_fewer_directions_than_components_leave_the_last_ones_zero(features):
    weight, bias, explained = whitening(features[:5], [40])
    assert weight.shape == (DIM, 40)
    assert not weight[4:].any()
    assert not bias[4:].any()
    assert explained == pytest.approx(1.0, abs=1e-4)
    assert np.isfinite(weight).all()
    alike, _, nothing = whitening(np.ones((4, 40), np.float32), [40])
    assert not alike.any()
    assert nothing == 0


def test_one_photo_is_too_few():
    with pytest.raises(TrainingError, match="two photos"):
        EmbeddingFit([], SPEC)(lambda images: images, [1])


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    folder, found = tmp_path_factory.mktemp("photos"), []
    for name, data in samples():
        path = folder / name
        path.write_bytes(data)
        found.append(Row(path, "", 0, "real-photo", "group", "val"))
    return found


@pytest.fixture(scope="module")
def images(rows):
    return np.stack([preprocess(row.path.read_bytes(), SPEC) for row in rows])


@pytest.fixture(scope="module")
def exported(rows, images, tmp_path_factory):
    torch.manual_seed(0)
    backbone = build_backbone(JOINT)
    for parameter in backbone.parameters():
        if parameter.ndim == 2:
            torch.nn.init.normal_(parameter, std=0.05)
    folder = tmp_path_factory.mktemp("package")
    embed = EmbeddingFit(rows, SPEC)
    return export(JOINT, backbone.state_dict(), NORMALIZATION, SPEC, images[:4], folder, embed)


@pytest.fixture(scope="module")
def package(exported):
    shipped = load_package(REPOSITORY_ROOT / "models" / "0.3.1")
    update = {"architecture": JOINT, "preprocess": SPEC, "normalization": NORMALIZATION}
    return replace(
        shipped,
        manifest=shipped.manifest.model_copy(update=update),
        network=NetworkFiles(exported.weights, exported.xml, exported.bin),
    )


@pytest.fixture(scope="module")
def older(package, tmp_path_factory):
    """The same package as it was made before embeddings."""
    folder = tmp_path_factory.mktemp("older")
    weights = {k: v for k, v in load_file(package.weights).items() if "embedding" not in k}
    save_file(weights, folder / "model.safetensors")
    model = ov.Core().read_model(package.openvino_xml)
    model.remove_result(model.get_results()[-1])
    ov.save_model(model, folder / "model.xml", compress_to_fp16=True)
    return replace(
        package,
        network=NetworkFiles(
            folder / "model.safetensors", folder / "model.xml", folder / "model.bin"
        ),
    )


def test_the_graph_gains_one_output_and_keeps_its_logits(package, older, exported, images):
    graphs = [compile_graph(each.openvino_xml) for each in (package, older)]
    names = [[output.get_any_name() for output in graph.outputs] for graph in graphs]
    assert names == [["logits", "evidence", "embedding"], ["logits", "evidence"]]
    found, plain = (graph([images]) for graph in graphs)
    assert np.abs(found["logits"] - plain["logits"]).max() < TOLERANCE.logit / 100
    assert found["embedding"].shape == (len(images), DIM)
    assert found["embedding"].dtype == np.float32
    assert exported.embedding_parity_max_abs < TOLERANCE.embedding
    assert exported.embedding.photos == len(images)


def test_both_engines_return_the_same_embedding_for_any_batch(package, images):
    engines = OpenVinoEngine(package, batch_size=8), TorchEngine(package, 8, "cpu")
    cpu, gpu = (engine.predict(images[:8]) for engine in engines)
    assert cpu.embeddings.shape == gpu.embeddings.shape == (8, DIM)
    assert cpu.embeddings == pytest.approx(gpu.embeddings, abs=TOLERANCE.embedding)
    for engine, whole in zip(engines, (cpu, gpu), strict=True):
        for count in (1, 2, 7):
            part = engine.predict(images[:count]).embeddings
            assert part == pytest.approx(whole.embeddings[:count], abs=0.01)
    kept = cpu.embeddings.copy()
    engines[0].predict(images[2:10])
    assert np.array_equal(cpu.embeddings, kept)


def test_the_photos_of_the_fit_are_white_in_the_served_form(package, images):
    engine = TorchEngine(package, len(images), "cpu")
    embeddings = engine.predict(images).embeddings
    rank = min(DIM, len(images) - 1)
    assert embeddings.mean(0) == pytest.approx(np.zeros(DIM), abs=0.05)
    assert embeddings.std(0, ddof=1)[:rank] == pytest.approx(np.ones(rank), abs=0.05)


def test_a_package_without_an_embedding_serves_on(older, images):
    assert load_detector(older).projection is None
    for engine in (OpenVinoEngine(older, batch_size=4), TorchEngine(older, 4, "cpu")):
        assert engine.predict(images[:3]).embeddings is None
