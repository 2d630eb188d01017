"""Both engines give the same logits for the same photos, whatever the batch."""

import numpy as np
import openvino as ov
import pytest

from services.worker.engines.openvino import OpenVinoEngine
from services.worker.engines.torch_cuda import TorchEngine
from shared.core.settings import REPOSITORY_ROOT
from shared.ml.package import load_package
from shared.ml.preprocess import preprocess
from tests.support.photos import samples


@pytest.fixture(scope="module")
def package():
    return load_package(REPOSITORY_ROOT / "models" / "champion")


@pytest.fixture(scope="module")
def arrays(package):
    return np.stack([preprocess(data, package.manifest.preprocess) for _, data in samples()])


@pytest.fixture(scope="module", params=[OpenVinoEngine, TorchEngine])
def engine(request, package):
    return request.param(package, batch_size=8)


@pytest.fixture(scope="module")
def whole(engine, arrays):
    """A full batch's logits."""
    return engine.predict(arrays[:8]).logits.copy()


@pytest.mark.parametrize("count", [1, 2, 3, 7, 8])
def test_padding_changes_no_logit(engine, arrays, whole, count):
    part = engine.predict(arrays[:count])
    assert part.logits == pytest.approx(whole[:count], abs=1e-3)


def test_results_do_not_share_memory_with_the_next_pass(engine, arrays):
    first = engine.predict(arrays[:8]).logits
    kept = first.copy()
    engine.predict(arrays[:8][::-1].copy())
    assert np.array_equal(first, kept)


@pytest.mark.parametrize("engine", [OpenVinoEngine], indirect=True)
def test_the_engines_agree(package, arrays, whole):
    torch = TorchEngine(package, batch_size=8, device="cpu").predict(arrays[:8]).logits
    assert whole == pytest.approx(torch, abs=0.02)


def test_the_engine_computes_in_the_processors_own_precision(package):
    """bfloat16 where the processor has it, else float32: read from OpenVINO, not assumed."""
    native = "BF16" in ov.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    engine = OpenVinoEngine(package, batch_size=2)
    assert engine.name == f"openvino-cpu-{'bf16' if native else 'f32'}"
