"""`make soak-catalog`: catalogs of growing size through the whole stack, with lone jobs meanwhile.

Boots a stack of its own, serves photos from this process, and writes what it measured into
docs/benchmarks.md: rows per second, the largest resident memory of each process, and how long a
single `POST /jobs` takes to its verdict while a catalog runs, beside the same on the idle stack.
"""

import argparse
import csv
import io
import os
import platform
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import psutil

from infra.bench.cpu import milliseconds_per_image, processor_seconds
from infra.bench.load import run_load
from infra.bench.photos import make_photos
from infra.bench.section import write_section
from infra.local.boot import Endpoints, boot
from infra.local.settings import LocalSettings
from infra.local.stack import Stack
from shared.core.settings import REPOSITORY_ROOT

PAGE = REPOSITORY_ROOT / "docs" / "benchmarks.md"
_TERMINAL = {"succeeded", "partial", "failed", "cancelled"}
# Seconds between two samples of memory, two looks at the catalog, two lone jobs.
_SAMPLE_SECONDS = 0.5
_POLL_SECONDS = 1.0
_LONE_SECONDS = 2.0
_SETTLE_SECONDS = 5.0


@dataclass(slots=True)
class SizeResult:
    """What one catalog gave. Memory in MiB and processor ms a row by program, times in seconds."""

    rows: int
    distinct: int
    seconds: float = 0.0
    counts: dict[str, Any] = field(default_factory=dict)
    peak_mib: dict[str, float] = field(default_factory=dict)
    cpu_ms: dict[str, float] = field(default_factory=dict)
    idle_seconds: list[float] = field(default_factory=list)
    lone_seconds: list[float] = field(default_factory=list)

    @property
    def ratio(self) -> float:
        """Median of lone jobs during the catalog, over that on the idle stack before it."""
        return statistics.median(self.lone_seconds) / statistics.median(self.idle_seconds)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make soak-catalog", description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[1_000, 10_000, 100_000])
    parser.add_argument("--distinct", type=int, default=1000, help="photos of each catalog")
    parser.add_argument("--short-side", type=int, default=512, help="pixels")
    parser.add_argument("--lone", type=int, default=20, help="lone jobs on the idle stack")
    parser.add_argument("--no-write", action="store_true", help="print only")
    return parser.parse_args()


def main() -> int:
    """Run the sizes; 1 if a row of any got no verdict."""
    args = _arguments()
    lone_count = 400
    count = args.distinct * len(args.sizes) + lone_count
    print(f"Making {count} photos of {args.short_side} px ...", flush=True)
    photos = make_photos(count, args.short_side)
    lone, served = photos[:lone_count], photos[lone_count:]
    with _photo_server(served) as host, tempfile.TemporaryDirectory(prefix="soak-") as name:
        # Services inherit it: nothing else of this machine may be fetched from.
        os.environ["DETECTOR_FETCH_ALLOWED_HOSTS"] = host
        stack = Stack(Path(name), timeout_s=180)
        try:
            settings = LocalSettings(local_dir=Path(name), gateway_port=18100, ui_port=18601)
            endpoints = boot(stack, settings, lambda line: print(f"  {line}", flush=True))
            run_load(endpoints.url, endpoints.api_key, lone[:5], 1, 1)
            queue = iter(lone[5:])
            results = []
            for index, rows in enumerate(args.sizes):
                first = index * args.distinct
                names = range(first, first + min(rows, args.distinct))
                results.append(_run(stack, endpoints, host, rows, names, queue, args.lone))
        finally:
            stack.stop()
    section = _section(results, args.short_side)
    print(section)
    if not args.no_write:
        write_section(PAGE, "soak-catalog", section)
    return 0 if all(result.counts["completed"] == result.rows for result in results) else 1


def _run(
    stack: Stack,
    endpoints: Endpoints,
    host: str,
    rows: int,
    names: range,
    lone: Iterator[bytes],
    idle_jobs: int,
) -> SizeResult:
    result = SizeResult(rows, len(names))
    time.sleep(_SETTLE_SECONDS)
    for _ in range(idle_jobs):
        result.idle_seconds += _lone_job(endpoints, lone)
    manifest = _manifest(host, rows, names)
    stop = threading.Event()
    sampler = threading.Thread(target=_sample, args=(stack, result.peak_mib, stop))
    sampler.start()
    before, started = processor_seconds(stack), time.perf_counter()
    try:
        with _client(endpoints) as client:
            answer = client.post("/catalogs", files={"file": ("soak.csv", manifest)})
            path = f"/catalogs/{answer.raise_for_status().json()['id']}"
            _follow(client, path, endpoints, lone, result)
            result.seconds = time.perf_counter() - started
            result.cpu_ms = milliseconds_per_image(before, processor_seconds(stack), rows)
    finally:
        stop.set()
        sampler.join()
    return result


def _follow(
    client: httpx.Client, path: str, endpoints: Endpoints, lone: Iterator[bytes], into: SizeResult
) -> None:
    """Wait for the catalog's end; meanwhile send a lone job every now and then."""
    next_lone = time.monotonic() + _LONE_SECONDS
    while True:
        body = client.get(path).raise_for_status().json()
        into.counts = body["counts"]
        if body["status"] in _TERMINAL:
            return
        if time.monotonic() >= next_lone and body["counts"]["read"]:
            into.lone_seconds += _lone_job(endpoints, lone)
            # A long catalog must not use the photos up.
            pause = max(_LONE_SECONDS, into.rows / 5000)
            next_lone = time.monotonic() + pause
        time.sleep(_POLL_SECONDS)


def _lone_job(endpoints: Endpoints, photos: Iterator[bytes]) -> list[float]:
    photo = next(photos, None)
    if photo is None:
        return []
    return run_load(endpoints.url, endpoints.api_key, [photo], 1, 1).job_seconds


def _client(endpoints: Endpoints) -> httpx.Client:
    headers = {"Authorization": f"Bearer {endpoints.api_key}"}
    return httpx.Client(base_url=endpoints.url, headers=headers, timeout=120)


def _manifest(host: str, rows: int, names: Sequence[int]) -> bytes:
    """Return a CSV whose rows go through the photos of `names`, each one repeated."""
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer)
    writer.writerow(["url", "custom_id"])
    for row in range(rows):
        writer.writerow(
            [f"http://{host}/{names[row * len(names) // rows]}.jpg?row={row}", f"sku-{row}"]
        )
    return buffer.getvalue().encode()


def _sample(stack: Stack, peaks: dict[str, float], stop: threading.Event) -> None:
    """Keep the largest resident memory of each program, its children included."""
    while not stop.wait(_SAMPLE_SECONDS):
        for program in stack.programs:
            with_children = 0
            try:
                process = psutil.Process(program.pid)
                for each in [process, *process.children(recursive=True)]:
                    with_children += each.memory_info().rss
            except psutil.NoSuchProcess:
                continue
            mib = with_children / 1024 / 1024
            peaks[program.name] = max(peaks.get(program.name, 0.0), mib)


@contextmanager
def _photo_server(photos: Sequence[bytes]) -> Iterator[str]:
    """Serve the photos as /NUMBER.jpg; gives host:port."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            data = photos[int(self.path.strip("/").partition(".")[0])]
            self.send_response(200)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def _section(results: Sequence[SizeResult], short_side: int) -> str:
    programs = list(dict.fromkeys(name for result in results for name in result.peak_mib))
    sizes = " | ".join(f"{result.rows:,} rows" for result in results)
    lines = [
        _conditions(results, short_side),
        "",
        f"| | {sizes} |",
        f"|---|{'---|' * len(results)}",
        _line("seconds from POST to the last verdict", [f"{r.seconds:.0f}" for r in results]),
        _line("rows per second", [f"{r.rows / r.seconds:.0f}" for r in results]),
        _line("rows with a verdict", [f"{r.counts['completed']:,}" for r in results]),
        *[
            _line(
                f"peak memory of {name}, MiB", [f"{r.peak_mib.get(name, 0):.0f}" for r in results]
            )
            for name in programs
        ],
        *[
            _line(f"processor time of {name}, ms a row", [f"{r.cpu_ms[name]:.1f}" for r in results])
            for name in results[-1].cpu_ms
        ],
        _line("lone job, idle, median ms", [_ms(r.idle_seconds, 0.5) for r in results]),
        _line("lone job, meanwhile, median ms", [_ms(r.lone_seconds, 0.5) for r in results]),
        _line("lone job, meanwhile, 90% within ms", [_ms(r.lone_seconds, 0.9) for r in results]),
        _line(
            "ratio of the medians",
            [
                f"{r.ratio:.2f} ({len(r.lone_seconds)} jobs)" if r.lone_seconds else "–"
                for r in results
            ],
        ),
    ]
    return "\n".join(lines)


def _conditions(results: Sequence[SizeResult], short_side: int) -> str:
    distinct = max(result.distinct for result in results)
    return (
        f"{datetime.now(UTC):%Y-%m-%d}, {os.cpu_count()} cores, {platform.machine()}, everything on"
        f" one machine. JPEGs of {short_side} px, up to {distinct} different ones in each catalog"
        " and spread over it, the rest repeats; every row is fetched over HTTP."
    )


def _line(title: str, cells: Sequence[str]) -> str:
    return f"| {title} | {' | '.join(cells)} |"


def _ms(seconds: Sequence[float], share: float) -> str:
    if not seconds:
        return "–"
    ordered = sorted(seconds)
    return f"{ordered[min(len(ordered) - 1, int(share * len(ordered)))] * 1000:.0f}"


if __name__ == "__main__":
    sys.exit(main())
