"""Brings photos' originals from bare git directories into the folder of originals."""

import re
import shutil
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from services.training.data.cache import sha256_of
from services.training.data.manifest import Record
from services.training.data.sources.fetch import Tell
from services.training.data.sources.git import GitSource, find_git_dir
from services.training.data.sources.http import SourceError
from services.training.data.sources.originals import Originals
from services.training.errors import TrainingError

# Source URLs of repositories carry the commit that the photo was found at.
_COMMIT = re.compile(r"/([0-9a-f]{40})/")


class Origin(StrEnum):
    """Where an original was found, or why it was not."""

    PRESENT = "already there"
    LISTED = "at the listed commit"
    HEAD = "at HEAD"
    HISTORY = "at another commit"
    ALTERED = "missing: other bytes at its path"
    ABSENT = "missing: not at its path"
    UNREADABLE = "missing: git cannot read the repository"
    NO_REPOSITORY = "missing: repository not given"
    NOT_GIT = "missing: from a package"


@dataclass(frozen=True, slots=True)
class Found:
    """What became of one photo's original; `detail` says more where git failed."""

    record: Record
    origin: Origin
    detail: str = ""


def from_git(record: Record) -> bool:
    """Whether the record names a file in a git repository, and the hash to know it by."""
    url = record.source_url or ""
    named = record.source_repo and record.source_path and record.source_sha256
    return bool(named) and not url.startswith("pkg:")


def fetch_originals(
    records: Sequence[Record], folder: Path, originals: Originals, tell: Tell
) -> list[Found]:
    """Copy the originals that are not there yet, repository by repository.

    A file is right if its SHA-256 is, at whichever commit. It is looked for at its path: at the
    commit in the URL, at HEAD, then among up to 50 versions in the history.

    Args:
        records: the photos whose originals are wanted.
        folder: holds bare git directories; see `find_git_dir` for their names.
        originals: where they go.
        tell: called with (done, all) after each photo.

    Returns:
        One entry per record, in no particular order.

    Raises:
        TrainingError: git is not installed, or none of the records' repositories is in `folder`.
        OSError: the originals cannot be written.
    """
    if shutil.which("git") is None:
        raise TrainingError("git is not installed; --from-git needs it")
    repositories: defaultdict[str, list[Record]] = defaultdict(list)
    found: list[Found] = []
    for record in records:
        if originals.path(record) is not None:
            found.append(Found(record, Origin.PRESENT))
        elif from_git(record):
            repositories[record.source_repo or ""].append(record)
        else:
            found.append(Found(record, Origin.NOT_GIT))
    if repositories:
        _require_any(records, folder)
    tell(len(found), len(records))
    for repository, wanted in sorted(repositories.items()):
        git_dir = find_git_dir(folder, repository)
        if git_dir is None:
            found += [Found(record, Origin.NO_REPOSITORY) for record in wanted]
            continue
        for entry in _from_repository(git_dir, wanted, originals):
            found.append(entry)
            tell(len(found), len(records))
    tell(len(found), len(records))
    return found


def _require_any(records: Sequence[Record], folder: Path) -> None:
    names = sorted({record.source_repo or "" for record in records if from_git(record)})
    if not any(find_git_dir(folder, name) for name in names):
        example = names[0].replace("/", "+")
        raise TrainingError(
            f"{folder} has none of the manifest's {len(names)} repositories. Each must be a git"
            f" directory named OWNER+NAME/repo or OWNER+NAME, such as {folder / example / 'repo'}"
        )


def _from_repository(
    git_dir: Path, wanted: Sequence[Record], originals: Originals
) -> Iterator[Found]:
    """Give one entry per record: first those at the expected commits, then those of the history."""
    left: dict[Record, Found] = {}
    with GitSource(git_dir) as source:
        for record in wanted:
            commit = _COMMIT.search(record.source_url or "")
            names = [(Origin.LISTED, f"{commit[1]}:{record.source_path}")] if commit else []
            names.append((Origin.HEAD, f"HEAD:{record.source_path}"))
            entry = _look(Found(record, Origin.ABSENT), names, source, originals)
            if entry.origin in {Origin.LISTED, Origin.HEAD}:
                yield entry
            else:
                left[record] = entry
        # One walk through the history serves all paths.
        paths = sorted({record.source_path or "" for record in left})
        versions = source.versions(paths) if paths else {}
        for record, entry in left.items():
            ids = versions.get(record.source_path or "", [])
            yield _look(entry, [(Origin.HISTORY, i) for i in ids], source, originals)


def _look(
    entry: Found,
    names: Iterable[tuple[Origin, str]],
    source: GitSource,
    originals: Originals,
) -> Found:
    """Store the first blob of `names` that is the original; else add to why there was none."""
    record = entry.record
    for origin, name in names:
        try:
            data = source.read(name)
        except SourceError as error:
            # Only this name, perhaps: a partial clone ends git for what it lacks.
            if entry.origin is Origin.ABSENT:
                entry = Found(record, Origin.UNREADABLE, str(error))
            continue
        if data is not None and sha256_of(data) == record.source_sha256:
            originals.put(data)
            return Found(record, origin)
        if data is not None:
            entry = Found(record, Origin.ALTERED)
    return entry
