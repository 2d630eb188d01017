"""Work in a bounded number of threads, with results in the order of the input."""

import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

ItemT = TypeVar("ItemT")
ResultT = TypeVar("ResultT")


def in_order(
    work: Callable[[ItemT], ResultT],
    items: Sequence[ItemT],
    concurrency: int,
    on_done: Callable[[ResultT], None] = lambda _result: None,
) -> Iterator[ResultT]:
    """Yield `work(item)` for each item, in input order; `on_done` is called as each finishes.

    The first exception of `work` is raised here and ends the run. Threads are daemons: Ctrl-C
    ends the program at once instead of after the longest request.
    """
    waiting: queue.SimpleQueue[tuple[int, ItemT]] = queue.SimpleQueue()
    finished: queue.SimpleQueue[tuple[int, ResultT] | BaseException] = queue.SimpleQueue()
    for entry in enumerate(items):
        waiting.put(entry)
    stop = threading.Event()

    def worker() -> None:
        while not stop.is_set():
            try:
                index, item = waiting.get_nowait()
            except queue.Empty:
                return
            try:
                finished.put((index, work(item)))
            except BaseException as error:  # noqa: BLE001  # raised again in the caller's thread
                finished.put(error)
                return

    for _ in range(min(concurrency, len(items))):
        threading.Thread(target=worker, daemon=True).start()
    try:
        yield from _ordered(finished, len(items), on_done)
    finally:
        stop.set()


def _ordered(
    finished: "queue.SimpleQueue[tuple[int, ResultT] | BaseException]",
    count: int,
    on_done: Callable[[ResultT], None],
) -> Iterator[ResultT]:
    early: dict[int, ResultT] = {}
    due = 0
    while due < count:
        arrived = finished.get()
        if isinstance(arrived, BaseException):
            raise arrived
        index, result = arrived
        on_done(result)
        early[index] = result
        while due in early:
            yield early.pop(due)
            due += 1
