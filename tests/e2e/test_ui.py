"""The web page against the whole running system."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from shared.core.settings import REPOSITORY_ROOT
from tests.support.photos import samples, truncated_jpeg
from tests.support.processes import answers, free_port, wait_until
from tests.support.system import System

SCRIPT = REPOSITORY_ROOT / "services" / "ui" / "app.py"


@pytest.fixture
def page(stack: System, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> AppTest:
    """The page, opened against the running system."""
    monkeypatch.setenv("DETECTOR_LOCAL_DIR", str(tmp_path))
    monkeypatch.setenv("DETECTOR_URL", stack.url)
    monkeypatch.setenv("DETECTOR_API_KEY", stack.key)
    st.cache_data.clear()
    return AppTest.from_file(str(SCRIPT), default_timeout=60).run()


def badges(at: AppTest) -> list[str]:
    shown = "".join(element.value for element in at.html)
    return re.findall(r'apd-badge [\w-]+">. ([^<]+)<', shown)


def click(at: AppTest, label: str) -> None:
    next(button for button in at.button if label in button.label).click()
    at.run()
    assert not at.exception


def test_the_sample_photos_get_their_verdicts(page: AppTest) -> None:
    click(page, "sample photos")
    found = badges(page)
    assert len(found) == len(samples())
    assert set(found) <= {"AI-generated", "Real", "Uncertain"}


def test_a_broken_photo_fails_alone(page: AppTest) -> None:
    name, content = samples()[0]
    page.file_uploader[0].set_value(
        [("cut.jpg", truncated_jpeg(3), "image/jpeg"), (name, content, "image/jpeg")]
    )
    click(page, "Check photos")
    found = badges(page)
    assert found[0] == "No verdict"
    assert found[1] in {"AI-generated", "Real", "Uncertain"}


def test_the_page_is_served(stack: System, tmp_path: Path) -> None:
    """`streamlit run` from another directory finds the script, its settings and its packages."""
    port = free_port()
    options = [f"--server.port={port}", "--server.address=127.0.0.1", "--server.headless=true"]
    with (tmp_path / "ui.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "streamlit", "run", str(SCRIPT), *options],
            cwd=tmp_path,
            env={**os.environ, "DETECTOR_URL": stack.url, "DETECTOR_API_KEY": stack.key},
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    try:
        url = f"http://127.0.0.1:{port}"
        wait_until(lambda: answers(f"{url}/_stcore/health"), 60, "the page is served")
        assert answers(url)
    finally:
        process.terminate()
        process.wait(10)
