"""The evaluation as a reference, against windows of its own photos."""

from services.drift.study.shares import ASSUMED, measure_shares
from shared.core.settings import REPOSITORY_ROOT


def test_windows_of_the_assumed_share_are_quiet_and_others_are_not():
    found = measure_shares(REPOSITORY_ROOT / "models" / "0.3.1", 2, 7)["evaluation"]["found"]
    suspicious = {each["share"]: each["suspicious"] for each in found}
    assert suspicious[ASSUMED] == 0
    assert suspicious[0.15] == 2
