"""CPU engine: the package's OpenVINO graph."""

from collections.abc import Sequence

import numpy as np
import openvino as ov

from services.worker.engines.port import (
    Embeddings,
    Explained,
    Images,
    NoEngineError,
    Predictions,
    chosen_precision,
)
from shared.ml.package import ModelPackage
from shared.ml.precision import Precision, cpu_precisions, processor

BATCH_SIZE = 16


class OpenVinoEngine:
    """See `Engine`. The graph takes uint8 RGB and normalises inside.

    Compiled for two fixed batch sizes, one and full: a fixed shape runs faster than a dynamic one.
    A partial batch is padded to the full one, or run one by one when that is less work.
    `precision` is one of the package's, by default the first that this processor has.

    Raises NoEngineError or PackageError for another; see `chosen_precision`.
    """

    def __init__(
        self,
        package: ModelPackage,
        threads: int = 0,
        batch_size: int = 0,
        precision: Precision | None = None,
    ) -> None:
        self.batch_size = batch_size or BATCH_SIZE
        self.precision = chosen_precision(package, cpu_precisions(processor()), precision)
        self.precisions: dict[str, Precision] = {}
        core = ov.Core()
        config = configuration(self.precision, threads)
        model = core.read_model(package.openvino_xml, package.openvino_bin)
        spec = package.manifest.preprocess
        self._shape = spec.shape
        self._requests: dict[int, ov.InferRequest] = {}
        for size in {1, self.batch_size}:
            model.reshape([size, *self._shape])
            compiled = core.compile_model(model, "CPU", config)
            self._requests[size] = compiled.create_infer_request()
        check_precision(compiled, self.precision)
        self.name = f"openvino-cpu-{self.precision}"
        outputs = {name for output in compiled.outputs for name in output.get_names()}
        self._explains, self._embeds = "evidence" in outputs, "embedding" in outputs

    def predict(self, images: Images) -> Predictions:
        """Run one forward pass, or a few single ones for a small remainder."""
        count = len(images)
        # A padded pass costs as much as a full one: under a quarter of it singles are cheaper.
        if count * 4 <= self.batch_size:
            return _joined([self._run(1, images[i : i + 1]) for i in range(count)])
        if count < self.batch_size:
            padded = np.zeros((self.batch_size, *self._shape), np.uint8)
            padded[:count] = images
            images = padded
        return _first(count, self._run(self.batch_size, images))

    def explain(self, image: Images) -> Explained | None:
        """See `Engine.explain`."""
        if not self._explains:
            return None
        logit = float(self._run(1, image[None]).logits[0])
        evidence = self._requests[1].get_tensor("evidence").data[0]
        return Explained(logit, (np.array(evidence, dtype=np.float32),))

    def _run(self, size: int, images: Images) -> Predictions:
        request = self._requests[size]
        request.infer([images], share_inputs=True)
        # The tensors are the request's own buffers: copy before the next pass overwrites them.
        logits = np.array(request.get_tensor("logits").data, dtype=np.float32).reshape(size)
        if not self._embeds:
            return Predictions(logits, None)
        return Predictions(logits, np.array(request.get_tensor("embedding").data, dtype=np.float32))


def configuration(precision: Precision, threads: int) -> dict[str, object]:
    """Return how to compile a graph for the CPU; 0 threads are all."""
    # Without the second hint OpenVINO takes bfloat16 by itself where the processor has it natively.
    config: dict[str, object] = {
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_PRECISION_HINT": precision,
    }
    return config | ({"INFERENCE_NUM_THREADS": threads} if threads else {})


def check_precision(compiled: ov.CompiledModel, precision: Precision) -> None:
    """Raise NoEngineError when a graph computes in another precision than it was compiled for."""
    # It is a hint: OpenVINO computes in float32, and says so here, where it cannot follow.
    taken = compiled.get_property("INFERENCE_PRECISION_HINT").get_type_name()
    if taken != precision:
        raise NoEngineError(
            f"OpenVINO computes in {taken} on this processor, not in {precision}:"
            f" set DETECTOR_WORKER_PRECISION={taken}"
        )


def _first(count: int, found: Predictions) -> Predictions:
    embeddings = None if found.embeddings is None else found.embeddings[:count]
    return Predictions(found.logits[:count], embeddings)


def _joined(parts: Sequence[Predictions]) -> Predictions:
    embeddings: list[Embeddings] = [
        part.embeddings for part in parts if part.embeddings is not None
    ]
    return Predictions(
        np.concatenate([part.logits for part in parts]),
        np.concatenate(embeddings) if embeddings else None,
    )
