"""How long one photo takes on this machine's CPU, as it is served."""

import os
import platform
import time
from collections.abc import Sequence

import numpy as np

from services.training.evaluate.scoring import Predictor
from shared.ml.preprocess import preprocess
from shared.ml.spec import PreprocessSpec

BATCH = 16


def measure(
    photos: Sequence[bytes], predictor: Predictor, spec: PreprocessSpec, repeats: int = 60
) -> dict[str, float | int | str]:
    """Return medians and 95th percentiles in milliseconds, and images per second in batches.

    `photos` are encoded files; they are taken in turn. The first passes are warm-up.
    """
    arrays = [preprocess(data, spec) for data in photos]
    batch = np.stack([arrays[i % len(arrays)] for i in range(BATCH)])
    predictor(arrays[0][None])
    predictor(batch)
    decode, forward, full = [], [], []
    for number in range(repeats):
        index = number % len(photos)
        started = time.perf_counter()
        preprocess(photos[index], spec)
        decoded = time.perf_counter()
        predictor(arrays[index][None])
        decode.append(1e3 * (decoded - started))
        forward.append(1e3 * (time.perf_counter() - decoded))
    for _ in range(max(4, repeats // BATCH)):
        started = time.perf_counter()
        predictor(batch)
        full.append(BATCH / (time.perf_counter() - started))
    return {
        "preprocess_ms_p50": float(np.percentile(decode, 50)),
        "preprocess_ms_p95": float(np.percentile(decode, 95)),
        "inference_ms_p50": float(np.percentile(forward, 50)),
        "inference_ms_p95": float(np.percentile(forward, 95)),
        "batch_16_images_per_second": float(np.median(full)),
        "cpu_cores": os.cpu_count() or 1,
        "machine": platform.machine(),
        # Above the number of cores, other work took part of them and the times are too long.
        "load_average": os.getloadavg()[0],
    }
