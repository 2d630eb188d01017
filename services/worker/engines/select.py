"""Chooses the engine by hardware, and warms it up."""

import ctypes
import importlib.util

import numpy as np

from services.worker.engines.port import Engine
from services.worker.settings import WorkerSettings
from shared.core.errors import DetectorError
from shared.ml.package import ModelPackage


class NoEngineError(DetectorError):
    """No runtime for the model is installed, or the one asked for is not."""


def load_engine(package: ModelPackage, settings: WorkerSettings) -> Engine:
    """Load `package` into the engine that `settings.worker_engine` names, and run it once.

    Raises NoEngineError, saying what to install, when there is no runtime for it.
    """
    choice = settings.worker_engine
    if choice == "auto":
        choice = "torch" if _has_cuda() else "openvino"
    engine = _load(choice, package, settings)
    spec = package.manifest.preprocess
    for count in sorted({1, engine.batch_size}):
        engine.predict(np.zeros((count, *spec.shape), np.uint8))
    return engine


def _load(choice: str, package: ModelPackage, settings: WorkerSettings) -> Engine:
    try:
        if choice == "torch":
            from services.worker.engines.torch_cuda import TorchEngine  # noqa: PLC0415

            return TorchEngine(package, settings.worker_batch_size)
        from services.worker.engines.openvino import OpenVinoEngine  # noqa: PLC0415

        return OpenVinoEngine(
            package, settings.worker_inference_threads, settings.worker_batch_size
        )
    except ModuleNotFoundError as error:
        extra = "worker-gpu" if choice == "torch" else "worker-cpu"
        raise NoEngineError(
            f"the {choice} engine needs {error.name}: pip install"
            f" 'ai-product-photo-detector[{extra}]', or set DETECTOR_WORKER_ENGINE"
        ) from error


def _has_cuda() -> bool:
    """Say whether torch would find a GPU, without importing it where there is no driver."""
    if importlib.util.find_spec("torch") is None:
        return False
    try:
        ctypes.CDLL("libcuda.so.1")
    except OSError:
        # Importing torch takes seconds and hundreds of MB: not merely to learn this.
        return False
    import torch  # noqa: PLC0415

    return torch.cuda.is_available()
