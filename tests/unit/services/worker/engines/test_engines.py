"""Both engines give the same logits for the same photos, whatever the batch."""

from dataclasses import replace

import numpy as np
import pytest

from services.worker.engines import openvino
from services.worker.engines.openvino import OpenVinoEngine
from services.worker.engines.port import NoEngineError
from services.worker.engines.select import load_engine
from services.worker.engines.torch_cuda import TorchEngine
from services.worker.settings import WorkerSettings
from shared.core.settings import REPOSITORY_ROOT
from shared.ml.errors import PackageError
from shared.ml.package import load_package
from shared.ml.precision import TOLERANCES, Processor, cpu_precisions, processor
from shared.ml.preprocess import preprocess
from tests.support.photos import samples


@pytest.fixture(scope="module")
def package():
    return load_package(REPOSITORY_ROOT / "models" / "0.3.1")


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
    assert whole == pytest.approx(torch, abs=TOLERANCES["f32"].logit)


def listing(package, *precisions):
    manifest = package.manifest.model_copy(update={"precisions": precisions})
    return replace(package, manifest=manifest)


@pytest.mark.parametrize("precision", cpu_precisions(processor()))
def test_the_graph_computes_in_a_listed_precision_and_stays_near_torch(package, arrays, precision):
    engine = OpenVinoEngine(listing(package, precision), batch_size=8)
    assert (engine.precision, engine.name) == (precision, f"openvino-cpu-{precision}")
    assert hints(engine) == {precision}
    torch = TorchEngine(package, batch_size=8, device="cpu").predict(arrays[:8]).logits
    found = engine.predict(arrays[:8]).logits
    assert found == pytest.approx(torch, abs=TOLERANCES[precision].logit)


def test_a_package_that_lists_float32_alone_runs_in_nothing_else(package):
    """Read from the compiled graphs: a processor with bfloat16 would take it by itself."""
    assert package.manifest.precisions == ("f32",)
    assert hints(OpenVinoEngine(package, batch_size=2)) == {"f32"}
    for engine in (OpenVinoEngine, TorchEngine):
        for other in ("bf16", "f16", "int8"):
            with pytest.raises(PackageError, match="DETECTOR_WORKER_PRECISION"):
                engine(package, batch_size=2, precision=other)


def test_what_the_processor_lacks_is_refused_or_left_out(package, monkeypatch):
    monkeypatch.setattr(openvino, "processor", lambda: Processor("old", ("avx2",)))
    both = listing(package, "bf16", "f32", "int8")
    assert hints(OpenVinoEngine(both, batch_size=2)) == {"f32"}
    for wanted in ("bf16", "int8"):
        with pytest.raises(NoEngineError, match=rf"not in {wanted}.*DETECTOR_WORKER_PRECISION"):
            OpenVinoEngine(both, batch_size=2, precision=wanted)
    with pytest.raises(NoEngineError, match=r"measured in bf16.*DETECTOR_MODEL_DIR"):
        OpenVinoEngine(listing(package, "bf16"), batch_size=2)


@pytest.mark.skipif(
    not {"avx512f", "avx_ne_convert"}.isdisjoint(processor().flags),
    reason="OpenVINO has or emulates bfloat16 on this processor",
)
def test_a_hint_that_openvino_does_not_follow_is_no_engine(package, monkeypatch):
    monkeypatch.setattr(openvino, "processor", lambda: Processor("new", ("avx512_bf16",)))
    with pytest.raises(NoEngineError, match="DETECTOR_WORKER_PRECISION=f32"):
        OpenVinoEngine(listing(package, "bf16"), batch_size=2)


def test_the_setting_chooses_among_those_of_the_package(package):
    def settings(precision):
        return WorkerSettings.model_construct(
            worker_engine="openvino", worker_precision=precision, worker_batch_size=2
        )

    for each in ("auto", "f32"):
        assert load_engine(package, settings(each)).precision == "f32"
    with pytest.raises(PackageError, match="measured in f32, not in bf16"):
        load_engine(package, settings("bf16"))


def hints(engine):
    """What the engine's compiled graphs compute in."""
    return {
        request.get_compiled_model().get_property("INFERENCE_PRECISION_HINT").get_type_name()
        for request in engine._requests.values()
    }
