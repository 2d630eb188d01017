"""The bare ceiling: the same photos through the same code and engine, with nothing around."""

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from services.worker.engines.select import load_engine
from services.worker.settings import WorkerSettings
from shared.ml.package import load_package
from shared.ml.postprocess import judge
from shared.ml.preprocess import preprocess


def measure_ceiling(photos: Sequence[bytes], settings: WorkerSettings) -> tuple[float, str]:
    """Return (images per second, engine name): decode threads feed full batches to the engine."""
    package = load_package(settings.model_dir)
    engine = load_engine(package, settings)
    spec = package.manifest.preprocess
    started = time.perf_counter()
    # `map` keeps decoding ahead of the engine, as the worker's stages do.
    with ThreadPoolExecutor(settings.worker_decode_threads) as decoders:
        arrays = decoders.map(lambda data: preprocess(data, spec), photos)
        batch = []
        for array in arrays:
            batch.append(array)
            if len(batch) == engine.batch_size:
                for logit in engine.predict(np.stack(batch)).logits:
                    judge(float(logit), package.manifest)
                batch = []
        if batch:
            engine.predict(np.stack(batch))
    return len(photos) / (time.perf_counter() - started), engine.name
