"""The trunk store: a folder of files that releases share, each named by its SHA-256.

A file appears under its name complete or not at all, so several processes may share a folder: two
that put the same trunk at once replace it by the same bytes, and one that has it open keeps it.
"""

import os
import shutil
import tempfile
import time
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from shared.ml.errors import PackageError
from shared.ml.package import verify_file
from shared.ml.spec import FileEntry, trunk_name

_PARTIAL = ".put-"


@dataclass(frozen=True, slots=True)
class TrunkStore:
    """The trunks in `folder`, which is made with the first of them."""

    folder: Path

    def find(self, entry: FileEntry) -> Path | None:
        """Return the path of a trunk after checking its bytes; None when it is not here.

        Raises PackageError when the file is not the one of `entry`, or `entry` names no trunk.
        """
        path = self._path(entry)
        if not path.is_file():
            return None
        verify_file(path, entry)
        return path

    def put(self, source: Path, entry: FileEntry) -> Path:
        """Copy `source` here and return its path; an altered file of the same name is replaced.

        Raises PackageError when `source` is not the file of `entry`, or `entry` names no trunk.
        """
        path = self._path(entry)
        if self._has(entry):
            return path
        self.folder.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=self.folder, prefix=_PARTIAL)
        os.close(handle)
        partial = Path(name)
        try:
            # What is checked is the copy: the source may change between the two.
            shutil.copyfile(source, partial)
            verify_file(partial, entry)
            partial.chmod(0o644)
            partial.replace(path)
        except PackageError as error:
            raise PackageError(f"{source} is not the trunk {entry.name}: {error}") from error
        finally:
            partial.unlink(missing_ok=True)
        return path

    def prune(self, kept: Collection[str], older_than_s: float) -> None:
        """Delete the files, by name, that are not in `kept` and not younger than that, seconds.

        A young file is left alone, since the package that needs it may be on its way.
        """
        if not self.folder.is_dir():
            return
        latest = time.time() - older_than_s
        for path in self.folder.iterdir():
            ours = path.name == trunk_name(path.stem) or path.name.startswith(_PARTIAL)
            if ours and path.name not in kept and path.stat().st_mtime < latest:
                path.unlink(missing_ok=True)

    def _has(self, entry: FileEntry) -> bool:
        try:
            return self.find(entry) is not None
        except PackageError:
            return False

    def _path(self, entry: FileEntry) -> Path:
        if entry.name != trunk_name(entry.sha256):
            raise PackageError(
                f"a trunk is named by its hash, {trunk_name(entry.sha256)}: not {entry.name}"
            )
        return self.folder / entry.name
