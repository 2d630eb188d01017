"""The web page against the whole running system."""

import hashlib
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from shared.contracts.states import Label
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


def html(at: AppTest) -> str:
    return "".join(element.value for element in at.html)


def badges(at: AppTest) -> list[str]:
    return re.findall(r'apd-badge [\w-]+">. ([^<]+)<', html(at))


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


def opened(**address: str) -> AppTest:
    """The page as its address opens it."""
    at = AppTest.from_file(str(SCRIPT), default_timeout=60)
    at.query_params.update(address)
    at.run()
    assert not at.exception
    return at


@pytest.fixture
def judged(page: AppTest) -> tuple[str, str]:
    """The ids of a job and of its photo."""
    name, content = samples()[0]
    page.file_uploader[0].set_value([(name, content, "image/jpeg")])
    click(page, "Check photos")
    link = re.search(r'href="\?photo=([0-9a-f-]{36})" target="_blank"', html(page))
    job = re.search(r"Job `([0-9a-f-]{36})`", " ".join(each.value for each in page.caption))
    assert link
    assert job
    return job[1], link[1]


def test_a_photo_shows_why_and_takes_a_review_that_its_job_shows(judged: tuple[str, str]) -> None:
    job, photo = judged
    at = opened(photo=photo)
    shown = html(at)
    assert at.text_input(key="photo_id").value == photo
    assert shown.count("<figure><img src=") == 2, "the photo and its heatmap"
    assert "Real below" in shown
    assert hashlib.sha256(samples()[0][1]).hexdigest() in shown
    assert [button.label for button in at.get("download_button")] == ["Download the evidence"]

    click(at, "Store the review")
    assert "Choose a label" in at.warning[0].value
    at.radio[0].set_value(Label.REAL)
    at.text_input[-2].set_value("The seller <b>sent</b> the original.")
    at.text_input[-1].set_value("anna")
    click(at, "Store the review")
    assert "Reviewed by anna" in html(at)
    assert "The seller &lt;b&gt;sent&lt;/b&gt; the original." in html(at)
    assert "Reviewed by anna: Real" in html(opened(job=job))


@pytest.mark.parametrize(
    ("text", "hint"),
    [("seven", "32 hexadecimal digits"), ("0" * 32, "There is no such photo")],
)
def test_a_photo_that_is_not_there_is_a_hint(page: AppTest, text: str, hint: str) -> None:
    assert hint in opened(photo=text).warning[0].value


def test_a_photo_without_verdict_says_why_and_takes_a_review(page: AppTest, stack: System) -> None:
    body = stack.api.accepted([("cut.jpg", truncated_jpeg(3))])
    photo = stack.api.finished(body["id"])["images"][0]["id"]
    at = opened(photo=photo)
    assert "No verdict" in html(at)
    assert "Upload it again" in html(at)
    assert not at.get("download_button")
    at.radio[0].set_value(Label.AI_GENERATED)
    at.text_input[-2].set_value("The same picture is in a generator's gallery.")
    at.text_input[-1].set_value("anna")
    click(at, "Store the review")
    assert "AI-generated" in html(at)


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
