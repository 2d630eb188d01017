"""Sends photos as jobs over HTTP and waits for every verdict."""

import statistics
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import httpx

_TERMINAL = {"succeeded", "partial", "failed", "cancelled"}


@dataclass(frozen=True, slots=True)
class LoadResult:
    """What one run gave. Times are in seconds."""

    images_per_second: float
    verdicts: int
    job_seconds: list[float]

    def job_quantile(self, share: float) -> float:
        """Return the time that `share` of the jobs stayed under, from POST to terminal."""
        if len(self.job_seconds) == 1:
            return self.job_seconds[0]
        return statistics.quantiles(self.job_seconds, n=100, method="inclusive")[
            min(98, round(share * 100) - 1)
        ]


def run_load(
    url: str, key: str, photos: Sequence[bytes], per_job: int, concurrency: int
) -> LoadResult:
    """Submit `photos` in jobs of `per_job`, `concurrency` at a time; raises on any refusal."""
    groups = [photos[i : i + per_job] for i in range(0, len(photos), per_job)]
    started = time.perf_counter()
    with (
        httpx.Client(
            base_url=url,
            headers={"Authorization": f"Bearer {key}"},
            timeout=120,
            limits=httpx.Limits(max_connections=concurrency),
        ) as client,
        ThreadPoolExecutor(concurrency) as senders,
    ):
        done = list(senders.map(lambda group: _one_job(client, group), groups))
    seconds = time.perf_counter() - started
    verdicts = sum(count for count, _ in done)
    return LoadResult(verdicts / seconds, verdicts, [elapsed for _, elapsed in done])


def _one_job(client: httpx.Client, photos: Sequence[bytes]) -> tuple[int, float]:
    started = time.perf_counter()
    files = [("images", (f"{i}.jpg", data, "image/jpeg")) for i, data in enumerate(photos)]
    response = client.post("/jobs", files=files).raise_for_status()
    job = response.json()
    while job["status"] not in _TERMINAL:
        path = f"/jobs/{job['id']}"
        job = client.get(path, params={"wait": 20}).raise_for_status().json()
    return sum(1 for i in job["images"] if i["verdict"]), time.perf_counter() - started
