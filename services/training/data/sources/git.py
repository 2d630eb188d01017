"""Files of bare git directories on this machine; git is kept from asking any network."""

import os
import re
import subprocess
from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from services.training.data.sources.http import SourceError

# Larger files are passed over.
_MAX_BYTES = 64 * 2**20
# Versions of a path that are looked at, and the time for finding those of one batch of paths.
_MAX_VERSIONS = 50
_HISTORY_SECONDS = 300
# Paths on one command line: of 4096 bytes each at most, the system takes 2 MiB.
_BATCH = 400
# Neither part may be `..`: they become names of folders.
_REPOSITORY = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]*/(?!\.\.?$)[A-Za-z0-9._-]+")
_NO_OBJECT = re.compile(r"0+")


def find_git_dir(folder: Path, repository: str) -> Path | None:
    """Return the git directory of `OWNER/NAME` below `folder`, None where there is none.

    It may be `OWNER+NAME/repo/.git`, `OWNER+NAME/repo`, `OWNER+NAME/.git` or `OWNER+NAME`.
    """
    if not _REPOSITORY.fullmatch(repository):
        return None
    base = folder / repository.replace("/", "+")
    places = (base / "repo" / ".git", base / "repo", base / ".git", base)
    return next((place for place in places if (place / "objects").is_dir()), None)


class GitSource:
    """One repository, read by one `git cat-file` process; a context manager that ends it.

    A partial clone would download what it lacks: lazy fetches and transports are switched off. Git
    before 2.45 ends over that, which is told as a failure of the one name that was asked for.
    """

    def __init__(self, git_dir: Path) -> None:
        self.git_dir = git_dir
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._end()

    def read(self, name: str) -> bytes | None:
        """Return the blob that git calls `name`: its id, or `COMMIT:PATH`.

        None where there is none, or one of more than 64 MiB. Raises SourceError when git ends, as
        it does for what is no repository or is damaged; the next call starts it again.
        """
        if "\n" in name:  # it would end the request
            return None
        process = self._process = self._process or self._start()
        requests, answers = process.stdin, process.stdout
        if requests is None or answers is None:
            raise SourceError("git was started without pipes")
        try:
            requests.write(name.encode() + b"\n")
            requests.flush()
            return _answer(answers)
        except (BrokenPipeError, EOFError) as error:
            self._end()
            raise SourceError(f"git cannot read {self.git_dir}; `git fsck` may tell why") from error

    def versions(self, paths: Sequence[str]) -> dict[str, list[str]]:
        """Return the ids of up to 50 blobs that each path had in reachable commits, newest first.

        Where commits or trees are missing, as in shallow and partial clones, or it takes too long,
        only what was found until then is returned, or nothing.
        """
        found: defaultdict[str, dict[str, None]] = defaultdict(dict)
        for batch in (paths[i : i + _BATCH] for i in range(0, len(paths), _BATCH)):
            count = f"--max-count={_MAX_VERSIONS * len(batch)}"
            commits = self._run("rev-list", "--all", "--full-history", count, "--", *batch)
            changes = self._run(
                *("diff-tree", "--stdin", "--root", "-r", "-m", "--raw", "-z", "--no-abbrev"),
                *("--no-renames", "--no-commit-id", "--", *batch),
                stdin=commits,
            )
            fields = iter(changes.decode(errors="surrogateescape").split("\0"))
            # `:MODE MODE ID ID STATUS` and the path, in turn; the ids are of before and after.
            for change, path in zip(fields, fields, strict=False):
                before, after = change.split()[2:4]
                found[path].update({after: None, before: None})
        return {path: _first(ids) for path, ids in found.items()}

    def _start(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            self._command("cat-file", "--batch"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=_environment(),
        )

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.communicate()  # closes the pipes and waits

    def _run(self, *arguments: str, stdin: bytes = b"") -> bytes:
        try:
            return subprocess.run(
                self._command(*arguments),
                input=stdin,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=_environment(),
                timeout=_HISTORY_SECONDS,
                check=False,
            ).stdout
        except subprocess.TimeoutExpired:
            return b""

    def _command(self, *arguments: str) -> list[str]:
        options = ("--literal-pathspecs", "-c", "protocol.allow=never")
        return ["git", f"--git-dir={self.git_dir}", *options, *arguments]


def _answer(answers: IO[bytes]) -> bytes | None:
    """Read `NAME missing`, or `ID TYPE SIZE` and as many bytes.

    None for what is no blob, or too large to be kept. Raises EOFError when git has ended.
    """
    header = answers.readline()
    if header.endswith(b" missing\n"):
        return None
    if not header.endswith(b"\n"):
        raise EOFError
    _, kind, size = header.split()
    left = int(size) + 1  # and a line's end
    if kind == b"blob" and left <= _MAX_BYTES:
        data = answers.read(left)
        if len(data) < left:
            raise EOFError
        return data[:-1]
    while left:
        chunk = answers.read(min(left, 2**20))
        if not chunk:
            raise EOFError
        left -= len(chunk)
    return None


def _first(ids: Iterable[str]) -> list[str]:
    return list(islice((i for i in ids if not _NO_OBJECT.fullmatch(i)), _MAX_VERSIONS))


def _environment() -> dict[str, str]:
    """Return the environment without settings of a surrounding git command, such as a hook's."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    return kept | {"GIT_NO_LAZY_FETCH": "1", "GIT_TERMINAL_PROMPT": "0"}
