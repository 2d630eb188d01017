import pytest

from services.worker.wiring import at_budget
from shared.core.settings import REPOSITORY_ROOT
from shared.ml.errors import PackageError
from shared.ml.package import load_package


def test_a_worker_serves_the_budget_that_was_chosen_or_does_not_start():
    package = load_package(REPOSITORY_ROOT / "models" / "champion")
    own = package.manifest.thresholds.false_accusation_budget
    assert at_budget(package, None) is package
    assert at_budget(package, own).manifest.thresholds == package.manifest.thresholds
    with pytest.raises(PackageError, match="DETECTOR_WORKER_FALSE_ACCUSATION_BUDGET"):
        at_budget(package, 0.123)
