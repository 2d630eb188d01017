"""Two model packages over the same photos, in turn: `python -m infra.bench.models`.

Preprocessing and engine only, as the bare ceiling of `make bench`, each package at its shipped
default. Rounds alternate, since machines are shared and noisy; the ratio is of each pair.
"""

import argparse
import os
import platform
import resource
import statistics
from pathlib import Path

import numpy as np

from infra.bench.ceiling import run_bare
from infra.bench.photos import make_photos
from services.worker.engines.port import Engine
from services.worker.engines.select import load_engine
from services.worker.settings import WorkerSettings
from shared.core.settings import REPOSITORY_ROOT
from shared.ml.package import ModelPackage, load_package

MODELS = REPOSITORY_ROOT / "models"


def main() -> None:
    """Print images/s of both packages, their ratio, and where the cascade ended."""
    parser = argparse.ArgumentParser(prog="python -m infra.bench.models", description=__doc__)
    parser.add_argument("--package", type=Path, default=MODELS / "champion")
    parser.add_argument("--against", type=Path, default=MODELS / "0.3.1")
    parser.add_argument("--photos", type=int, default=48)
    parser.add_argument("--short-side", type=int, default=1024, help="pixels")
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    photos = make_photos(args.photos, args.short_side)
    loaded = [_load(each) for each in (args.package, args.against)]
    rates: list[list[float]] = [[], []]
    seen: list[float] = []
    for _ in range(args.rounds):
        for number, (package, engine) in enumerate(loaded):
            rate, found = run_bare(photos, package, engine, os.cpu_count() or 1)
            rates[number].append(rate)
            looked = [each.tiles_seen for each in found if each.tiles_seen is not None]
            if looked:
                seen.append(float(np.concatenate(looked).mean()))
    print(f"Machine   {platform.machine()}, {os.cpu_count()} cores, {len(photos)} JPEGs of")
    print(f"          {args.short_side} px short side, {args.rounds} rounds in turn")
    for (package, engine), each in zip(loaded, rates, strict=True):
        middle = statistics.median(each)
        spread = f"{min(each):.1f}-{max(each):.1f}"
        print(f"{package.manifest.version:9} {middle:.1f} images/s ({spread}), {engine.name}")
    ratios = [ours / theirs for ours, theirs in zip(*rates, strict=True)]
    print(f"Ratio     {statistics.median(ratios):.2f} ({min(ratios):.2f}-{max(ratios):.2f})")
    if seen:
        print(f"Tiles     looked at for {statistics.mean(seen):.0%} of the photos")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"Memory    {peak:.0f} MiB at most, with both packages loaded")


def _load(directory: Path) -> tuple[ModelPackage, Engine]:
    package = load_package(directory)
    return package, load_engine(package, WorkerSettings.model_construct(model_dir=directory))


if __name__ == "__main__":
    main()
