"""Batches are full or late; a bad image fails alone."""

import threading

import numpy as np
import pytest

from services.worker.batcher import BatchError, MicroBatcher

POISON = 255


def image(value: int) -> np.ndarray:
    return np.full((2, 2, 3), value, np.uint8)


def first_pixel(images: np.ndarray) -> np.ndarray:
    return images[:, 0, 0, 0].astype(np.float32)


def fails_on_poison(images: np.ndarray) -> np.ndarray:
    if (images == POISON).any():
        raise RuntimeError("bad tensor")
    return first_pixel(images)


def test_every_image_gets_its_own_logit():
    batcher = MicroBatcher(first_pixel, max_batch=4, max_wait_seconds=0.001)
    futures = [batcher.submit(image(value)) for value in range(50)]
    assert [future.result(5) for future in futures] == list(range(50))
    batcher.close()


def test_a_full_batch_does_not_wait():
    sizes = []
    batcher = MicroBatcher(
        first_pixel, max_batch=4, max_wait_seconds=60, observe=lambda n, _: sizes.append(n)
    )
    futures = [batcher.submit(image(value)) for value in range(8)]
    for future in futures:
        future.result(5)
    assert sizes == [4, 4]
    batcher.close()


def test_a_lone_image_waits_no_longer_than_the_limit():
    batcher = MicroBatcher(first_pixel, max_batch=64, max_wait_seconds=0.01)
    assert batcher.submit(image(3)).result(5) == 3
    batcher.close()


def test_one_poison_image_fails_alone():
    """G4: the failing batch is run again one by one."""
    batcher = MicroBatcher(fails_on_poison, max_batch=8, max_wait_seconds=60)
    futures = [batcher.submit(image(v)) for v in (1, 2, POISON, 4, 5, 6, 7, 8)]
    with pytest.raises(BatchError, match="bad tensor"):
        futures[2].result(5)
    assert [f.result(5) for n, f in enumerate(futures) if n != 2] == [1, 2, 4, 5, 6, 7, 8]
    batcher.close()


def test_an_engine_that_returns_too_few_logits_gives_no_verdict_away():
    batcher = MicroBatcher(lambda images: first_pixel(images)[:-1], 2, 60)
    futures = [batcher.submit(image(value)) for value in range(2)]
    for future in futures:
        with pytest.raises(BatchError, match="logits"):
            future.result(5)
    batcher.close()


def test_closing_runs_what_is_queued():
    release = threading.Event()

    def slow(images: np.ndarray) -> np.ndarray:
        release.wait(5)
        return first_pixel(images)

    batcher = MicroBatcher(slow, max_batch=1, max_wait_seconds=0)
    futures = [batcher.submit(image(value)) for value in range(3)]
    closer = threading.Thread(target=batcher.close)
    closer.start()
    release.set()
    closer.join(5)
    assert [future.result(0) for future in futures] == [0, 1, 2]
