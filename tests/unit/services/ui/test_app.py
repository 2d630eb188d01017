import re
from collections.abc import Callable

import pytest
from streamlit.testing.v1 import AppTest

from shared.core.settings import REPOSITORY_ROOT
from tests.support.fake_gateway import MODEL, FakeGateway, problem
from tests.support.photos import jpeg, samples
from tests.support.processes import free_port

Page = Callable[[], AppTest]
TRY_SAMPLES = f"Try {len(samples())} sample photos"
PHOTOS = [("ai_cup.jpg", jpeg(1), "image/jpeg"), ("real_cup.jpg", jpeg(2), "image/jpeg")]


@pytest.fixture
def page() -> Page:
    """A function that opens the page in a new session."""

    def open_page() -> AppTest:
        script = REPOSITORY_ROOT / "services" / "ui" / "app.py"
        return AppTest.from_file(str(script), default_timeout=30).run()

    return open_page


def button(at: AppTest, label: str) -> object:
    return next(button for button in at.button if label in button.label)


def click(at: AppTest, label: str) -> AppTest:
    button(at, label).click()  # type: ignore[attr-defined]
    at.run()
    assert not at.exception
    return at


def html(at: AppTest) -> str:
    return "".join(element.value for element in at.html)


def badges(at: AppTest) -> list[str]:
    return re.findall(r'apd-badge [\w-]+">. ([^<]+)<', html(at))


def check(at: AppTest, photos: list[tuple[str, bytes, str]]) -> AppTest:
    at.file_uploader[0].set_value(photos)
    return click(at, "Check photos")


def side_bar(at: AppTest) -> str:
    return " ".join(
        element.value
        for kind in ("markdown", "caption", "text")
        for element in at.sidebar.get(kind)
    )


def test_the_empty_page_offers_upload_samples_and_lookup(gateway: FakeGateway, page: Page) -> None:
    at = page()
    assert not at.exception
    assert [tab.label for tab in at.tabs] == ["New check", "Look up a job", "Look up a photo"]
    assert TRY_SAMPLES in [button.label for button in at.button]
    assert "Ready" in side_bar(at)
    assert gateway.count("POST", "/jobs") == 0


def test_each_photo_gets_a_card_and_the_listing_its_verdict(
    gateway: FakeGateway, page: Page
) -> None:
    at = page()
    at.text_input[0].set_value("L-7")
    check(at, PHOTOS)
    assert badges(at) == ["AI-generated", "Real"]
    shown = html(at)
    assert "Listing L-7" in shown
    assert "1 AI-generated, 1 Real" in shown
    assert "97.0 %" in shown
    assert shown.count("data:image/jpeg;base64,") == 2
    assert MODEL in side_bar(at)
    assert gateway.uploads[0]["listing_id"] == "L-7"


def test_a_rerun_and_a_repeated_click_send_nothing_again(gateway: FakeGateway, page: Page) -> None:
    at = check(page(), PHOTOS)
    at.run()
    click(at, "Check photos")
    assert badges(at) == ["AI-generated", "Real"]
    assert gateway.count("POST", "/jobs") == 1


def test_starting_over_empties_the_page(gateway: FakeGateway, page: Page) -> None:
    at = click(check(page(), PHOTOS), "Start over")
    assert badges(at) == []
    assert at.file_uploader[0].value == []


def test_the_sample_photos_are_one_click(gateway: FakeGateway, page: Page) -> None:
    at = click(page(), TRY_SAMPLES)
    assert len(badges(at)) == len(samples())
    assert len(gateway.uploads[0]["images"]) == len(samples())


def test_a_photo_that_failed_says_what_to_do(gateway: FakeGateway, page: Page) -> None:
    at = check(page(), [("bad.jpg", b"\xff\xd8 cut off", "image/jpeg"), PHOTOS[1]])
    assert badges(at) == ["No verdict", "Real"]
    assert "Upload it again." in html(at)
    assert "No preview" in html(at)


def test_files_of_which_none_is_a_photo_are_named_one_by_one(
    gateway: FakeGateway, page: Page
) -> None:
    errors = [{"index": 0, "code": "unsupported_type", "detail": "plain text"}]
    gateway.script["POST", "/jobs"].append(problem(415, "unsupported-type", "no", errors=errors))
    at = check(page(), [("notes.jpg", b"hello", "image/jpeg")])
    assert badges(at) == ["No verdict"]
    assert "not a JPEG, PNG, WebP, GIF or AVIF" in html(at)
    assert "None of these files" in at.error[0].value


def test_names_cannot_bring_markup_into_the_page(gateway: FakeGateway, page: Page) -> None:
    gateway.finish = True
    name = "ai<img src=x onerror=alert(1)>.jpg"
    at = check(page(), [(name, jpeg(3), "image/jpeg")])
    assert "<img src=x" not in html(at)
    assert "ai&lt;img src=x onerror=alert(1)&gt;.jpg" in html(at)


def test_more_photos_than_a_job_takes_are_not_sent(gateway: FakeGateway, page: Page) -> None:
    at = check(page(), [(f"{n}.jpg", b"x", "image/jpeg") for n in range(65)])
    assert "At most 64 photos" in at.warning[0].value
    assert gateway.count("POST", "/jobs") == 0


def test_nothing_chosen_is_a_hint(gateway: FakeGateway, page: Page) -> None:
    assert "Choose at least one photo" in click(page(), "Check photos").warning[0].value


def test_a_job_that_is_not_finished_can_be_looked_at_again(
    gateway: FakeGateway, page: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.ui.results.PATIENCE_SECONDS", 0.3)
    gateway.finish = False
    at = check(page(), PHOTOS)
    assert "Not finished yet" in at.info[0].value
    assert badges(at) == ["Waiting for its turn"] * 2
    gateway.finish = True
    click(at, "Look again")
    assert badges(at) == ["AI-generated", "Real"]
    assert html(at).count("data:image/jpeg;base64,") == 2


def test_a_gateway_lost_while_waiting_does_not_lose_the_job(
    gateway: FakeGateway, page: Page
) -> None:
    gateway.finish = False
    at = page()

    def go_away(_upload: object) -> None:
        gateway.script["GET", "*"].append((500, {"Content-Type": "text/plain"}, "gone"))

    gateway.on_upload = go_away
    check(at, PHOTOS)
    assert "Not finished yet" in at.info[0].value
    assert next(iter(gateway.jobs)) in " ".join(caption.value for caption in at.main.caption)


def look_up(at: AppTest, text: str) -> AppTest:
    at.text_input[2].set_value(text)
    return click(at, "Show job")


def test_a_job_is_found_by_its_id(gateway: FakeGateway, page: Page) -> None:
    check(page(), PHOTOS)
    at = look_up(page(), f" {next(iter(gateway.jobs))} ")
    assert badges(at) == ["AI-generated", "Real"]
    assert "No preview" not in html(at)


@pytest.mark.parametrize(
    ("text", "hint"),
    [("seven", "32 hexadecimal digits"), ("0" * 32, "There is no such job")],
)
def test_a_job_that_is_not_there_is_a_hint(
    gateway: FakeGateway, page: Page, text: str, hint: str
) -> None:
    assert hint in look_up(page(), text).warning[0].value


def test_without_configuration_the_page_says_what_to_do(page: Page) -> None:
    at = page()
    assert not at.exception
    assert "Run `make up`" in at.error[0].value
    assert len(at.file_uploader) == 0


def test_a_gateway_that_is_away_is_told_in_both_places(
    page: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DETECTOR_URL", f"http://127.0.0.1:{free_port()}")
    monkeypatch.setenv("DETECTOR_API_KEY", "apd_x")
    at = page()
    assert "Not reachable" in side_bar(at)
    assert "not reachable" in check(at, PHOTOS).error[0].value


def test_a_refused_key_is_told_without_showing_it(
    gateway: FakeGateway, page: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DETECTOR_API_KEY", "apd_wrong-and-secret")
    at = check(page(), PHOTOS)
    assert "refused this page's key" in at.error[0].value
    assert "detector keys create" in at.text[0].value
    assert "wrong-and-secret" not in str(at.main) + side_bar(at)


def test_an_unready_gateway_shows_what_it_misses(gateway: FakeGateway, page: Page) -> None:
    checks = {"database": {"status": "failed", "detail": "refused"}, "storage": {"status": "ok"}}
    gateway.ready = problem(503, "not-ready", "away", checks=checks)
    shown = side_bar(page())
    assert "Takes no photos now" in shown
    assert "database: refused" in shown
