"""Every test of the package is registered once, under its file's name."""

from pathlib import Path

from services.drift import stattests
from services.drift.stattests.registry import REGISTRY

# Helpers, and findings that are not tests of their own file.
HELPERS = {"__init__", "outcome", "registry", "resampling", "welch"}


def test_each_file_is_a_registered_test():
    files = {path.stem for path in Path(stattests.__file__).parent.glob("*.py")} - HELPERS
    assert files <= set(REGISTRY)
    assert all(name == entry.name and entry.threshold > 0 for name, entry in REGISTRY.items())
