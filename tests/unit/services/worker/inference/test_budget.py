"""The bytes that photos being decoded may have together."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from services.worker.inference.budget import ByteBudget


def test_no_more_is_held_than_there_is_and_everybody_comes_to_it():
    budget, lock = ByteBudget(100), threading.Lock()
    held, peaks = [0], []

    def work(size: int) -> None:
        with budget.hold(size):
            with lock:
                held[0] += min(size, 100)
                peaks.append(held[0])
            with lock:
                held[0] -= min(size, 100)

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(work, [60, 10, 300, 0, 40, 100, 1, 99] * 50))
    assert len(peaks) == 400
    assert max(peaks) <= 100
    with budget.hold(100):  # all of it was given back
        pass


def test_what_failed_gives_its_bytes_back():
    budget = ByteBudget(10)
    for _ in range(3):
        with pytest.raises(ValueError, match="bad"), budget.hold(10):
            raise ValueError("bad")
    with budget.hold(10):
        pass
