"""Measure drift's errors on made-up traffic and write them into docs/drift.md.

`python -m services.drift.study quiet|shifts|files|shares [--out FILE]` runs a part and stores its
numbers; `python -m services.drift.study write FILE…` puts those of all parts into the page.
"""

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from services.drift.analysis.window import Rules
from services.drift.study.parts import Plan, measure_files, measure_quiet, measure_shifts
from services.drift.study.report import MARK, render
from services.drift.study.scores import read_scores
from services.drift.study.shares import measure_shares
from services.drift.study.simulate import Setup
from shared.core.settings import REPOSITORY_ROOT

_PAGE = REPOSITORY_ROOT / "docs" / "drift.md"
_PARTS: dict[str, Callable[[Setup, Plan], dict[str, Any]]] = {
    "quiet": measure_quiet,
    "shifts": measure_shifts,
    "files": measure_files,
}
# Weeks, runs of each kind of shift, or windows of each share.
_SIZES = {"quiet": 200, "shifts": 20, "files": 20, "shares": 40}
# Thresholds were chosen on runs of other seeds.
_SEED = 20261125


def main() -> int:
    """Run one part, or write the page."""
    parser = argparse.ArgumentParser(prog="python -m services.drift.study")
    parser.add_argument("part", choices=[*_SIZES, "write"])
    parser.add_argument("files", nargs="*", type=Path)
    parser.add_argument("--size", type=int, help="weeks, runs of each shift, or windows")
    parser.add_argument("--seed", type=int, default=_SEED)
    parser.add_argument("--alpha", type=float, default=Rules().alpha)
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path("drift-study.json"))
    parser.add_argument("--model-dir", type=Path, default=REPOSITORY_ROOT / "models" / "0.3.1")
    arguments = parser.parse_args()
    if arguments.part == "write":
        write(arguments.files)
        return 0
    size = arguments.size or _SIZES[arguments.part]
    if arguments.part == "shares":
        found = measure_shares(arguments.model_dir, size, arguments.seed)
    else:
        setup = Setup(read_scores(arguments.model_dir), rules=Rules(alpha=arguments.alpha))
        found = _PARTS[arguments.part](setup, Plan(size, arguments.seed, arguments.processes))
        found["model_version"] = setup.scores.model_version
    found["seeds"] = {arguments.part: arguments.seed}
    arguments.out.write_text(json.dumps(found, indent=1), encoding="utf-8")
    return 0


def write(files: list[Path]) -> None:
    """Replace the page's figures by those of `files`."""
    numbers: dict[str, Any] = {}
    seeds: dict[str, int] = {}
    for file in files:
        found = json.loads(file.read_text(encoding="utf-8"))
        seeds |= found["seeds"]
        numbers |= found
    numbers["seeds"] = seeds
    page = _PAGE.read_text(encoding="utf-8")
    head, begin, rest = page.partition(MARK.format("begin"))
    _old, end, tail = rest.partition(MARK.format("end"))
    if not begin or not end:
        raise SystemExit(f"{_PAGE} has no place for the figures")
    _PAGE.write_text(f"{head}{begin}\n{render(numbers)}\n{end}{tail}", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
