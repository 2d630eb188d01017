"""Chooses the engine by hardware, and warms it up."""

import ctypes
import importlib.util

import numpy as np

from services.worker.engines.port import Engine, NoEngineError
from services.worker.settings import WorkerSettings
from shared.ml.package import ModelPackage
from shared.ml.precision import Precision


def load_engine(package: ModelPackage, settings: WorkerSettings) -> Engine:
    """Load `package` into the engine that `settings.worker_engine` names, and run it once.

    Raises NoEngineError, saying what to install or to set, when there is no runtime for it or not
    in the precision `settings.worker_precision`, and PackageError when the package has none such.
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
    wanted = None if settings.worker_precision == "auto" else settings.worker_precision
    size = settings.worker_batch_size
    try:
        if choice == "torch":
            return _torch(package, size, wanted)
        return _openvino(package, settings.worker_inference_threads, size, wanted)
    except ModuleNotFoundError as error:
        extra = "worker-gpu" if choice == "torch" else "worker-cpu"
        raise NoEngineError(
            f"the {choice} engine needs {error.name}: pip install"
            f" 'ai-product-photo-detector[{extra}]', or set DETECTOR_WORKER_ENGINE"
        ) from error


def _torch(package: ModelPackage, size: int, wanted: Precision | None) -> Engine:
    if package.manifest.members:
        from services.worker.engines.torch_members import TorchMembersEngine  # noqa: PLC0415

        return TorchMembersEngine(package, size, precision=wanted)
    from services.worker.engines.torch_cuda import TorchEngine  # noqa: PLC0415

    return TorchEngine(package, size, precision=wanted)


def _openvino(package: ModelPackage, threads: int, size: int, wanted: Precision | None) -> Engine:
    if package.manifest.members:
        from services.worker.engines.openvino_members import (  # noqa: PLC0415
            OpenVinoMembersEngine,
        )

        return OpenVinoMembersEngine(package, threads, size, wanted)
    from services.worker.engines.openvino import OpenVinoEngine  # noqa: PLC0415

    return OpenVinoEngine(package, threads, size, wanted)


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
