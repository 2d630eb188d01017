"""Every test of the package is registered once, under its file's name."""

from pathlib import Path

from services.drift import statistics
from services.drift.statistics.registry import REGISTRY

# Helpers, and findings that are not tests of their own file.
HELPERS = {"__init__", "correction", "outcome", "registry", "resampling", "welch"}


def test_each_file_is_a_registered_test():
    files = {path.stem for path in Path(statistics.__file__).parent.glob("*.py")} - HELPERS
    assert files <= set(REGISTRY)
    assert all(name == entry.name and entry.threshold > 0 for name, entry in REGISTRY.items())
