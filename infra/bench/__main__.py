"""Boots a stack of its own in a temporary directory, loads it, and prints the ratio."""

import argparse
import os
import platform
import sys
import tempfile
from pathlib import Path

from infra.bench.ceiling import measure_ceiling
from infra.bench.cpu import milliseconds_per_image, processor_seconds
from infra.bench.load import LoadResult, run_load
from infra.bench.photos import make_photos
from infra.local.boot import boot
from infra.local.settings import LocalSettings
from infra.local.stack import Stack
from services.worker.settings import WorkerSettings
from shared.core.settings import load_settings


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--images", type=int, default=512)
    parser.add_argument("--short-side", type=int, default=1024, help="pixels")
    parser.add_argument("--per-job", type=int, default=16)
    parser.add_argument("--concurrency", type=int, default=8, help="jobs under way at once")
    return parser.parse_args()


def main() -> int:
    """Print images/s of stack and ceiling, and their ratio; 1 if any photo got no verdict."""
    args = _arguments()
    print(f"Making {args.images} photos of {args.short_side} px ...", flush=True)
    photos = make_photos(args.images, args.short_side)
    # The warm-up has judged some of the photos: they are to be judged again.
    os.environ["DETECTOR_WORKER_REUSE_VERDICTS"] = "false"
    # One tenant sends everything, as fast as it can.
    os.environ["DETECTOR_GATEWAY_REQUESTS_PER_MINUTE"] = "0"
    os.environ["DETECTOR_GATEWAY_MAX_OPEN_IMAGES"] = "0"
    with tempfile.TemporaryDirectory(prefix="detector-bench-") as name:
        directory = Path(name)
        stack = Stack(directory, timeout_s=120)
        try:
            settings = LocalSettings(local_dir=directory, gateway_port=18000, ui_port=18501)
            endpoints = boot(stack, settings, lambda line: print(f"  {line}", flush=True))
            # Connections, caches and allocators are warm before the clock starts.
            run_load(endpoints.url, endpoints.api_key, photos[:64], args.per_job, args.concurrency)
            before = processor_seconds(stack)
            through = run_load(
                endpoints.url, endpoints.api_key, photos, args.per_job, args.concurrency
            )
            spent = milliseconds_per_image(before, processor_seconds(stack), args.images)
            lone = run_load(endpoints.url, endpoints.api_key, photos[:20], 1, 1)
            worker = load_settings_for(stack)
        finally:
            stack.stop()
    ceiling, engine = measure_ceiling(photos, worker)
    _print(args, through, lone, ceiling, engine, sum(map(len, photos)) / len(photos))
    shares = ", ".join(f"{name} {ms:.1f}" for name, ms in spent.items() if ms >= 0.1)
    print(f"Processor ms/image {shares}")
    return 0 if through.verdicts == args.images else 1


def load_settings_for(stack: Stack) -> WorkerSettings:
    """Return the settings that the stack's worker ran with."""
    os.environ.update(stack.urls.environment())
    return load_settings(WorkerSettings)


def _print(
    args: argparse.Namespace,
    through: LoadResult,
    lone: LoadResult,
    ceiling: float,
    engine: str,
    mean_bytes: float,
) -> None:
    print(
        f"""
Machine            {platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}
Photos             {args.images} JPEGs, short side {args.short_side} px, {mean_bytes / 1024:.0f} KiB
Engine             {engine}
Whole stack        {through.images_per_second:7.1f} images/s   (jobs of {args.per_job}, \
{args.concurrency} at a time; {through.verdicts} verdicts)
Bare ceiling       {ceiling:7.1f} images/s   (decode, preprocess and inference in one process)
Ratio              {through.images_per_second / ceiling:7.2f}
Job of {args.per_job:<4}        {through.job_quantile(0.5):7.2f} s median, \
{through.job_quantile(0.95):.2f} s p95, under that load
Lone photo         {lone.job_quantile(0.5) * 1000:7.0f} ms median, \
{lone.job_quantile(0.95) * 1000:.0f} ms p95, POST to verdict, idle stack"""
    )


if __name__ == "__main__":
    sys.exit(main())
