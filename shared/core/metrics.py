"""Prometheus metrics: the prefix, the buckets and the rendering that all services share.

`prometheus_client` decides when it is imported whether it counts for one process or for several
(PROMETHEUS_MULTIPROC_DIR). So a process's entry point sets that variable before anything imports
this module.
"""

import os
import re
from collections.abc import Sequence
from pathlib import Path

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

MULTIPROCESS_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"

# Seconds. From a cached read to the longest wait that the API allows.
LATENCY_BUCKETS = (
    0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0,
)  # fmt: skip
# Items of one batch or chunk.
SIZE_BUCKETS = (1, 2, 4, 8, 16, 32, 64, 128, 256)

_PREFIX = "detector_"
_LIVE_GAUGE_FILE = re.compile(r"gauge_live[a-z]+_(\d+)\.db")


def counter(name: str, documentation: str, labels: Sequence[str] = ()) -> Counter:
    """Return the counter `detector_<name>`; name it without `_total`, which is appended."""
    return Counter(_PREFIX + name, documentation, labels)


def histogram(
    name: str,
    documentation: str,
    labels: Sequence[str] = (),
    buckets: Sequence[float] = LATENCY_BUCKETS,
) -> Histogram:
    """Return the histogram `detector_<name>`; end the name with its unit (`_seconds`)."""
    return Histogram(_PREFIX + name, documentation, labels, buckets=buckets)


def live_sum(name: str, documentation: str, labels: Sequence[str] = ()) -> Gauge:
    """Return the gauge `detector_<name>`, summed over the processes that live."""
    return Gauge(_PREFIX + name, documentation, labels, multiprocess_mode="livesum")


def render() -> tuple[bytes, str]:
    """Return (exposition text, its content type), of all processes that share a directory.

    With several processes it reads their files: call it from a thread.
    """
    directory = os.environ.get(MULTIPROCESS_VARIABLE)
    if not directory:
        return generate_latest(REGISTRY), CONTENT_TYPE_LATEST
    forget_dead_processes(Path(directory))
    registry = CollectorRegistry()
    MultiProcessCollector(registry, path=directory)  # type: ignore[no-untyped-call]
    return generate_latest(registry), CONTENT_TYPE_LATEST


def forget_dead_processes(directory: Path) -> None:
    """Remove the live gauges of processes that have ended; what they counted stays."""
    for path in directory.glob("gauge_live*.db"):
        match = _LIVE_GAUGE_FILE.fullmatch(path.name)
        if match and not _is_alive(int(match[1])):
            mark_process_dead(int(match[1]), str(directory))  # type: ignore[no-untyped-call]


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # it lives, under another user
        return True
    return True
