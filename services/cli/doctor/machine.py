"""This machine: Python, libraries, model package, disk."""

import shutil
import sys
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from services.cli.doctor.result import Finding, fail, ok, one_line, warn
from shared.core.settings import REPOSITORY_ROOT

_OLDEST_PYTHON = (3, 11)
_GIB = 1024**3
# Below the first, a day of uploads may fill the disk; below the second, PostgreSQL and the object
# store soon refuse to write.
_DISK_WARN_BYTES = 5 * _GIB
_DISK_FAIL_BYTES = _GIB // 2


def python(found: tuple[int, ...] = sys.version_info[:3]) -> Finding:
    """Check that the interpreter is new enough."""
    text = ".".join(map(str, found))
    if found < _OLDEST_PYTHON:
        return fail(f"Python {text}", "Install Python 3.11 or newer and make the venv again.")
    return ok(f"Python {text}")


def engine() -> Finding:
    """Check that a runtime for the model can be imported: OpenVINO, or PyTorch."""
    try:
        import openvino

        return ok(f"openvino {openvino.__version__.partition('-')[0]} (CPU)")
    except ImportError as error:
        reason = one_line(error)
    try:
        # Importing torch takes seconds: that it is installed is enough here.
        return ok(f"torch {version('torch')}")
    except PackageNotFoundError:
        return fail(
            f"neither openvino ({reason}) nor torch can be imported; the worker needs one",
            "pip install -e '.[worker-cpu]', or '.[worker-gpu]' on a machine with a GPU.",
        )


def model(settings: Mapping[str, str]) -> Finding:
    """Check that the model package is complete and unaltered."""
    try:
        from shared.ml.errors import PackageError
        from shared.ml.package import load_package
    except ImportError as error:
        return fail(one_line(error), "pip install -e '.[worker-cpu]'")
    default = REPOSITORY_ROOT / "models" / "champion"
    directory = Path(settings.get("DETECTOR_MODEL_DIR") or default)
    try:
        package = load_package(directory)
    except PackageError as error:
        return fail(
            one_line(error),
            "Restore the shipped one (`git checkout -- models/champion models/trunks`), or set"
            " DETECTOR_MODEL_DIR to a package directory.",
        )
    return ok(f"{package.manifest.version} in {directory}")


def disk(directory: Path) -> Finding:
    """Check the free space where `directory` is, or will be made."""
    existing = next(path for path in (directory, *directory.parents) if path.exists())
    free = shutil.disk_usage(existing).free
    detail = f"{free / _GIB:.1f} GiB free for {directory}"
    mend = "Free some space, or move the data with DETECTOR_LOCAL_DIR."
    if free < _DISK_FAIL_BYTES:
        return fail(detail, mend)
    if free < _DISK_WARN_BYTES:
        return warn(detail, mend)
    return ok(detail)
