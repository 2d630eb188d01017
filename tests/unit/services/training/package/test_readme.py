"""The README's numbers are those of the shipped package."""

import json

import pytest

from services.training.errors import TrainingError
from services.training.evaluation.tables import performance_section
from services.training.package.readme import END, START, with_section
from shared.core.settings import REPOSITORY_ROOT
from shared.ml.package import load_package


def test_the_readme_shows_the_shipped_champions_numbers():
    package = load_package(REPOSITORY_ROOT / "models" / "champion")
    report = json.loads(package.evaluation.read_text())
    readme = (REPOSITORY_ROOT / "README.md").read_text()
    section = performance_section(package.manifest, report)
    assert with_section(readme, section) == readme, "run: python -m services.training readme"


def test_only_the_text_between_the_markers_changes():
    page = f"head\n{START}\nold\n{END}\ntail"
    assert with_section(page, "new") == f"head\n{START}\n\nnew\n\n{END}\ntail"
    with pytest.raises(TrainingError, match="markers"):
        with_section("no markers", "new")
