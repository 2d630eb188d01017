"""`python -m infra.bench.drift_rows`: one check by the drift service among 10^5 to 10^7 verdicts.

Boots a PostgreSQL of its own, fills the product's tables with made-up verdicts, and writes into
docs/benchmarks.md what a round costs: for a window of one hour, and for one that holds all rows.
"""

import argparse
import os
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg

from infra.bench.drift_fill import PHOTOS_PER_HOUR, TENANTS, VERSION, Filled, fill
from infra.bench.drift_round import Cost, run_round
from infra.bench.section import write_section
from infra.local.servers.urls import ExternalServers
from infra.local.stack import Stack
from services.drift.settings import DriftSettings
from shared.contracts.drift import RunStatus
from shared.core.settings import REPOSITORY_ROOT
from shared.db.drift.runs import NewRun, add_run
from shared.db.engine import make_engine, make_session_factory
from shared.db.migrate import upgrade

PAGE = REPOSITORY_ROOT / "docs" / "benchmarks.md"
# A round of one hour is short: the median of so many.
_REPEATS = 3
_PLAIN = (
    "SELECT count(*), avg(logit) FROM verdicts"
    " WHERE model_version = %s AND created_at >= %s AND created_at < %s"
)
_TEMP_BYTES = "SELECT temp_bytes FROM pg_stat_database WHERE datname = current_database()"
# Of Redis and the object store nothing is asked.
_ELSEWHERE = {
    "redis_url": "redis://127.0.0.1:1/0",
    "s3_endpoint": "http://127.0.0.1:1",
    "s3_access_key": "none",
    "s3_secret_key": "none",
}
_FORGET = "TRUNCATE drift_runs CASCADE"
# Photos of a reference are not checked: let it be of the time before.
_MOVE_REFERENCE = (
    "UPDATE drift_references SET window_start = %s - (window_end - window_start), window_end = %s"
)


@dataclass(slots=True)
class Measured:
    """Rounds of one kind, and the plain count of the same rows after each, in seconds."""

    photos: int
    costs: list[Cost] = field(default_factory=list)
    plain_seconds: list[float] = field(default_factory=list)
    temp_mib: float = 0.0

    @property
    def seconds(self) -> float:
        """Median of the rounds."""
        return statistics.median(cost.seconds for cost in self.costs)

    @property
    def ratio(self) -> float:
        """Rounds over plain counts."""
        return self.seconds / statistics.median(self.plain_seconds)


@dataclass(frozen=True, slots=True)
class SizeResult:
    """What a table of `rows` verdicts gave."""

    rows: int
    fill_seconds: float
    gib: float
    freeze: Measured
    everything: Measured
    hour: Measured


def main() -> int:
    """Measure the sizes; 1 if a round did not check what it was to check."""
    parser = argparse.ArgumentParser(prog="python -m infra.bench.drift_rows", description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[100_000, 1_000_000, 10_000_000])
    parser.add_argument("--no-write", action="store_true", help="print only")
    args = parser.parse_args()
    results: list[SizeResult] = []
    with (
        tempfile.TemporaryDirectory(prefix="drift-rows-") as name,
        Stack(Path(name), external=ExternalServers(**_ELSEWHERE)) as stack,
    ):
        url = stack.urls.database_url
        upgrade(url)
        results.extend(_measure(url, rows) for rows in args.sizes)
    section = _section(results)
    print(section)
    if not args.no_write:
        write_section(PAGE, "drift-rows", section)
    rounds = [(r.freeze, 0) for r in results]
    rounds += [(each, 1) for r in results for each in (r.everything, r.hour)]
    return 0 if all(c.windows == windows for each, windows in rounds for c in each.costs) else 1


def _measure(url: str, rows: int) -> SizeResult:
    started = time.perf_counter()
    filled = fill(url, rows)
    fill_seconds = time.perf_counter() - started
    print(f"{rows:,} rows filled in {fill_seconds:.0f} s", flush=True)
    span = (filled.end - filled.start).total_seconds()
    whole = {"drift_window_limit_seconds": span, "drift_window_photos": rows}
    first = {"drift_reference_photos": rows, "drift_first_reference_seconds": span}
    hour = filled.end - timedelta(hours=1)
    with _database(url) as connection:
        size = connection.execute("SELECT pg_database_size(current_database())").fetchone()
        # Frozen by a first round; then nothing is due, for it holds all there is.
        freeze = _repeated(url, filled, 1, filled.start, first, lambda: None)
        everything = _repeated(
            url, filled, 1, filled.start, whole, lambda: _begin(url, filled.start)
        )
        recent = _repeated(url, filled, _REPEATS, hour, {}, lambda: _begin(url, hour))
    return SizeResult(
        rows, fill_seconds, int(str(size[0])) / 2**30 if size else 0.0, freeze, everything, recent
    )


def _repeated(
    url: str,
    filled: Filled,
    times: int,
    start: datetime,
    own: dict[str, float],
    prepare: Callable[[], None],
) -> Measured:
    values = {**_ELSEWHERE, "database_url": url, "drift_window_seconds": 3600.0, **own}
    settings = DriftSettings.model_validate(values)
    measured = Measured(0)
    for _ in range(times):
        prepare()
        with _database(url) as connection:
            before = _temp_mib(connection)
            measured.costs.append(run_round(settings))
            measured.temp_mib = _temp_mib(connection) - before
            started = time.perf_counter()
            found = connection.execute(_PLAIN, (VERSION, start, filled.end)).fetchone()
            measured.plain_seconds.append(time.perf_counter() - started)
            measured.photos = int(str(found[0])) if found else 0
        print(f"  {measured.photos:,} photos: {measured.costs[-1]}", flush=True)
    return measured


def _begin(url: str, at: datetime) -> None:
    """Let the next window begin at `at`, as if all before it had been checked."""
    engine = make_engine(url, 1)
    before = NewRun(VERSION, at - timedelta(hours=1), at, RunStatus.EMPTY, 0, 0.0)
    with _database(url) as connection:
        connection.execute(_FORGET)
        connection.execute(_MOVE_REFERENCE, (at, at))
    with make_session_factory(engine).begin() as session:
        add_run(session, before)
    engine.dispose()


@contextmanager
def _database(url: str) -> Iterator[psycopg.Connection[tuple[object, ...]]]:
    with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as connection:
        yield connection


def _temp_mib(connection: psycopg.Connection[tuple[object, ...]]) -> float:
    # Sessions report what they wrote when they end, at the latest.
    time.sleep(1.5)
    found = connection.execute(_TEMP_BYTES).fetchone()
    return int(str(found[0])) / 2**20 if found else 0.0


def _section(results: Sequence[SizeResult]) -> str:
    sizes = " | ".join(f"{result.rows:,} rows" for result in results)
    head = (
        f"{datetime.now(UTC):%Y-%m-%d}, {os.cpu_count()} cores, {platform.machine()}, PostgreSQL as"
        f" `make up` starts it (64 MiB of shared buffers). {TENANTS} tenants, jobs of one to four"
        f" photos, embeddings of 16 numbers, {PHOTOS_PER_HOUR:,} photos in each hour."
    )
    lines = [head, "", f"| | {sizes} |", f"|---|{'---|' * len(results)}"]
    lines.append(_line("database, GiB", [f"{r.gib:.1f}" for r in results]))
    parts: list[tuple[str, Callable[[SizeResult], Measured]]] = [
        ("window of the last hour", lambda r: r.hour),
        ("window of all rows", lambda r: r.everything),
        ("freezing a reference of all rows", lambda r: r.freeze),
    ]
    for name, part in parts:
        found = [part(result) for result in results]
        lines += [
            _line(f"**{name}**: photos", [f"{each.photos:,}" for each in found]),
            _line("seconds", [f"{each.seconds:.2f}" for each in found]),
            _line("of them in SQL", [f"{_sql(each):.2f}" for each in found]),
            _line("peak memory of the process, MiB", [f"{_peak(each):.0f}" for each in found]),
            _line("temporary files, MiB", [f"{each.temp_mib:.0f}" for each in found]),
            _line(
                "plain `count(*), avg(logit)`, seconds",
                [f"{statistics.median(each.plain_seconds):.3f}" for each in found],
            ),
            _line("ratio", [f"{each.ratio:.0f}" for each in found]),
        ]
    return "\n".join(lines)


def _sql(measured: Measured) -> float:
    return statistics.median(cost.sql_seconds for cost in measured.costs)


def _peak(measured: Measured) -> float:
    return max(cost.peak_mib for cost in measured.costs)


def _line(title: str, cells: Sequence[str]) -> str:
    return f"| {title} | {' | '.join(cells)} |"


if __name__ == "__main__":
    sys.exit(main())
