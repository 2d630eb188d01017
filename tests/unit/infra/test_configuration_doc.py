"""docs/configuration.md is what the settings classes say, and every setting is explained."""

import re

from infra.configuration_doc import render
from shared.core.settings import REPOSITORY_ROOT


def test_the_page_is_up_to_date():
    page = (REPOSITORY_ROOT / "docs" / "configuration.md").read_text()
    # The machine's core count is no part of the page.
    assert page == render(), "run: python -m infra.configuration_doc > docs/configuration.md"


def test_every_setting_has_a_meaning():
    rows = re.findall(r"^\| `(DETECTOR_\w+)` \| .* \| (.*) \|$", render(), re.MULTILINE)
    assert len(rows) > 30
    assert [name for name, meaning in rows if not meaning] == []
