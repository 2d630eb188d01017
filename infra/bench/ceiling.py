"""The bare ceiling: the same photos through the same code and engine, with nothing around."""

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from services.worker.engines.port import Engine, Predictions
from services.worker.engines.select import load_engine
from services.worker.settings import WorkerSettings
from shared.ml.package import ModelPackage, load_package
from shared.ml.postprocess import judge
from shared.ml.preprocess import preprocess


def measure_ceiling(photos: Sequence[bytes], settings: WorkerSettings) -> tuple[float, str]:
    """Return (images per second, engine name): decode threads feed full batches to the engine."""
    package = load_package(settings.model_dir)
    engine = load_engine(package, settings)
    rate, _ = run_bare(photos, package, engine, settings.worker_decode_threads)
    return rate, engine.name


def run_bare(
    photos: Sequence[bytes], package: ModelPackage, engine: Engine, threads: int
) -> tuple[float, list[Predictions]]:
    """Return (images per second, what each batch came to)."""
    spec = package.manifest.preprocess
    found = []
    started = time.perf_counter()
    # `map` keeps decoding ahead of the engine, as the worker's stages do.
    with ThreadPoolExecutor(threads) as decoders:
        arrays = decoders.map(lambda data: preprocess(data, spec), photos)
        batch = []
        for number, array in enumerate(arrays, 1):
            batch.append(array)
            if len(batch) == engine.batch_size or number == len(photos):
                found.append(engine.predict(np.stack(batch)))
                for logit in found[-1].logits:
                    judge(float(logit), package.manifest)
                batch = []
    return len(photos) / (time.perf_counter() - started), found
