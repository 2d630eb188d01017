"""Batches are full or late; a bad image fails alone."""

import threading

import numpy as np
import pytest

from services.worker.inference.batcher import BatchError, MicroBatcher

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
        with pytest.raises(BatchError, match="images gave 0 results"):
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


class Gate:
    """An engine that waits for permission before each batch, and notes the batches."""

    def __init__(self) -> None:
        self.began = threading.Semaphore(0)
        self.go = threading.Semaphore(0)
        self.batches: list[list[int]] = []

    def __call__(self, images: np.ndarray) -> np.ndarray:
        self.batches.append([int(value) for value in images[:, 0, 0, 0]])
        self.began.release()
        assert self.go.acquire(timeout=5)
        return first_pixel(images)


def test_bulk_images_yield_to_those_that_came_later():
    gate = Gate()
    batcher = MicroBatcher(gate, max_batch=4, max_wait_seconds=0.3, max_bulk_batch=2)
    bulk = [batcher.submit(image(value), bulk=True) for value in range(1, 7)]
    assert gate.began.acquire(timeout=5)
    urgent = [batcher.submit(image(value)) for value in (101, 102)]
    for _ in range(4):
        gate.go.release()
    assert [future.result(5) for future in urgent] == [101, 102]
    assert [future.result(5) for future in bulk] == [1, 2, 3, 4, 5, 6]
    # The batch under way ended; then the others; bulk batches are the smaller ones, and unmixed.
    assert gate.batches == [[1, 2], [101, 102], [3, 4], [5, 6]]
    batcher.close()


def test_a_full_bulk_lane_does_not_keep_others_out():
    gate = Gate()
    batcher = MicroBatcher(gate, max_batch=1, max_wait_seconds=0, max_bulk_batch=1)
    # One is under way, four wait: a sixth has to wait for a place.
    bulk = [batcher.submit(image(value), bulk=True) for value in range(5)]
    filler = threading.Thread(target=lambda: bulk.append(batcher.submit(image(5), bulk=True)))
    filler.start()
    assert gate.began.acquire(timeout=5)
    urgent = batcher.submit(image(100))
    for _ in range(7):
        gate.go.release()
    assert urgent.result(5) == 100
    filler.join(5)
    assert sorted(future.result(5) for future in bulk) == [0, 1, 2, 3, 4, 5]
    assert gate.batches[1] == [100]
    batcher.close()
