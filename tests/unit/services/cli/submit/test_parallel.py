import threading
import time

import pytest

from services.cli.submit.parallel import in_order


def test_results_keep_the_order_of_the_input_though_the_first_is_last() -> None:
    first_may_go = threading.Event()
    finished: list[int] = []

    def work(item: int) -> int:
        if item == 0:
            assert first_may_go.wait(5)
        elif item == 7:
            first_may_go.set()
        return item * item

    assert list(in_order(work, range(8), 2, finished.append)) == [n * n for n in range(8)]
    assert finished[-1] == 0
    assert sorted(finished) == [n * n for n in range(8)]


def test_no_more_than_the_bound_run_at_a_time() -> None:
    lock, running, most = threading.Lock(), 0, 0

    def work(_item: int) -> None:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        time.sleep(0.005)
        with lock:
            running -= 1

    list(in_order(work, range(20), 3))
    assert most == 3


def test_an_error_is_raised_here_and_ends_the_run() -> None:
    started: list[int] = []

    def work(item: int) -> int:
        started.append(item)
        if item == 1:
            raise ValueError("broken")
        return item

    with pytest.raises(ValueError, match="broken"):
        list(in_order(work, range(100), 1))
    assert started == [0, 1]


def test_nothing_to_do_is_done_at_once() -> None:
    assert list(in_order(str, [], 4)) == []
