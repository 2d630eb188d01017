import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.fake_gateway import MODEL, FakeGateway, problem
from tests.support.processes import free_port, wait_until
from tests.unit.services.cli.conftest import Run


def lines(out: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in out.splitlines()]


def test_every_photo_gets_one_json_line_in_order(
    run: Run, gateway: FakeGateway, photos: Path
) -> None:
    result = run("submit", photos, "--json", "--batch", "2", "--concurrency", "3")
    found = lines(result.out)
    assert [Path(line["file"]).name for line in found] == [
        "ai_1.jpg",
        "bad.jpg",
        "real_1.JPG",
        "ai_2.png",
        "maybe.gif",
        "real_3.avif",
        "real_2.webp",
    ]
    assert found[0] == {
        "file": str(photos / "ai_1.jpg"),
        "label": "ai_generated",
        "probability": 0.97,
        "model_version": MODEL,
        "basis": "pixels",
        "pixels_probability": 0.97,
        "error": None,
    }
    assert found[1] == {
        "file": str(photos / "bad.jpg"),
        "label": None,
        "probability": None,
        "model_version": None,
        "basis": None,
        "pixels_probability": None,
        "error": {"code": "truncated_image", "detail": "The file ends too early."},
    }
    assert result.code == 1
    assert sorted(len(upload["images"]) for upload in gateway.uploads) == [1, 2, 2, 2]


def test_the_table_shows_verdicts_and_the_summary_counts_them(
    run: Run, gateway: FakeGateway, photos: Path
) -> None:
    result = run("submit", photos / "ai_1.jpg", photos / "real_1.JPG")
    assert result.code == 0
    rows = [line.split() for line in result.out.splitlines() if "photos" in line]
    assert rows == [
        [str(photos / "ai_1.jpg"), "AI-generated", "0.970", "pixels"],
        [str(photos / "real_1.JPG"), "real", "0.040", "pixels"],
    ]
    assert "2 photos in" in result.err
    assert f"model {MODEL}: 1 real, 1 AI-generated" in result.err
    assert "all together: AI-generated (the gravest photo decides)" in result.err


def test_a_verdict_by_statement_says_so_and_what_the_pixels_gave(
    run: Run, gateway: FakeGateway, tmp_path: Path
) -> None:
    photo = tmp_path / "stated.jpg"
    photo.write_bytes(b"x")
    row = next(line for line in run("submit", photo).out.splitlines() if "stated.jpg" in line)
    assert row.split()[1:] == ["AI-generated", "1.000", "statement", "(pixels", "0.500)"]
    (line,) = lines(run("submit", photo, "--json").out)
    assert (line["basis"], line["probability"]) == ("statement", 1.0)
    assert line["pixels_probability"] == 0.5


def test_photos_of_a_listing_travel_as_one_job_with_its_fields(
    run: Run, gateway: FakeGateway, tmp_path: Path
) -> None:
    for number in range(20):
        (tmp_path / f"real_{number}.jpg").write_bytes(b"x")
    result = run("submit", tmp_path, "--listing-id", "L-7", "--category", "shoes", "--json")
    assert result.code == 0
    assert len(gateway.uploads) == 1
    assert (gateway.uploads[0]["listing_id"], gateway.uploads[0]["category"]) == ("L-7", "shoes")


def test_a_listing_of_more_photos_than_a_job_takes_is_refused(
    run: Run, gateway: FakeGateway, tmp_path: Path
) -> None:
    for number in range(65):
        (tmp_path / f"real_{number}.jpg").write_bytes(b"x")
    result = run("submit", tmp_path, "--listing-id", "L-7")
    assert result.code == 2
    assert "at most 64 photos; got 65" in result.err
    assert gateway.uploads == []


def test_without_waiting_the_job_ids_are_printed(
    run: Run, gateway: FakeGateway, photos: Path
) -> None:
    gateway.finish = False
    result = run("submit", photos, "--no-wait", "--batch", "4", "--concurrency", "1")
    assert result.code == 0
    assert result.out.split() == list(gateway.jobs)
    as_json = run("submit", photos / "ai_1.jpg", "--no-wait", "--json")
    assert lines(as_json.out) == [
        {"id": list(gateway.jobs)[-1], "files": [str(photos / "ai_1.jpg")]}
    ]


def test_a_batch_refused_as_a_whole_is_sent_in_parts(
    run: Run, gateway: FakeGateway, photos: Path
) -> None:
    """One photo that is too large does not keep its batch-mates from their verdicts."""

    def refuse(upload: dict[str, Any]) -> Any:
        if any(name == "real_1.JPG" for name, _content in upload["images"]):
            return problem(413, "too-large", "real_1.JPG has too many bytes")
        return None

    gateway.on_upload = refuse
    result = run("submit", photos, "--json")
    by_name = {Path(line["file"]).name: line for line in lines(result.out)}
    assert len(by_name) == 7
    assert by_name["real_1.JPG"]["error"]["code"] == "too_large"
    assert by_name["ai_1.jpg"]["label"] == "ai_generated"
    assert result.code == 1


def test_reasons_given_photo_by_photo_need_no_second_request(
    run: Run, gateway: FakeGateway, photos: Path
) -> None:
    errors = [
        {"index": 0, "filename": "notes.txt", "code": "unsupported_type", "detail": "Not a photo."},
        {"index": 1, "filename": "ai_1.jpg", "code": "empty_file", "detail": "No bytes."},
    ]
    gateway.script["POST", "/jobs"].append(
        problem(422, "no-usable-image", "no file can be judged", errors=errors)
    )
    result = run("submit", photos / "notes.txt", photos / "ai_1.jpg", "--json")
    assert [line["error"]["code"] for line in lines(result.out)] == [
        "unsupported_type",
        "empty_file",
    ]
    assert gateway.count("POST", "/jobs") == 1


def test_an_upload_whose_answer_was_lost_is_repeated_and_makes_one_job(
    run: Run, gateway: FakeGateway, photos: Path
) -> None:
    gateway.lose_answers = 1
    result = run("submit", photos / "ai_1.jpg", "--json")
    assert (lines(result.out)[0]["label"], result.code) == ("ai_generated", 0)
    assert gateway.count("POST", "/jobs") == 2
    assert len(gateway.jobs) == 1


def test_a_verdict_that_does_not_come_in_time_is_an_error_with_the_job_id(
    run: Run, gateway: FakeGateway, photos: Path
) -> None:
    gateway.finish = False
    result = run("submit", photos / "ai_1.jpg", "--json", "--timeout", "1")
    (line,) = lines(result.out)
    assert line["error"]["code"] == "timed_out"
    assert next(iter(gateway.jobs)) in line["error"]["detail"]
    assert result.code == 1


def test_a_file_that_cannot_be_read_fails_alone(
    run: Run, gateway: FakeGateway, photos: Path
) -> None:
    (photos / "ai_0_broken_link.jpg").symlink_to(photos / "nowhere.jpg")
    result = run("submit", photos, "--json")
    by_name = {Path(line["file"]).name: line for line in lines(result.out)}
    assert by_name["ai_0_broken_link.jpg"]["error"]["code"] == "unreadable_file"
    assert by_name["ai_1.jpg"]["label"] == "ai_generated"
    assert result.code == 1


def test_without_a_gateway_it_says_what_to_do(run: Run, photos: Path) -> None:
    result = run("submit", photos)
    assert result.code == 2
    assert "Run `make up`" in result.err
    assert result.out == ""


def test_a_gateway_that_is_away_is_told_at_once(
    run: Run, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DETECTOR_URL", f"http://127.0.0.1:{free_port()}")
    monkeypatch.setenv("DETECTOR_API_KEY", "apd_x")
    result = run("submit", photos)
    assert result.code == 2
    assert "no gateway answers at" in result.err


def test_a_refused_key_ends_the_run(
    run: Run, gateway: FakeGateway, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DETECTOR_API_KEY", "apd_wrong")
    result = run("submit", photos, "--json")
    assert (result.code, result.out) == (2, "")
    assert "the API key is unknown" in result.err


def test_a_gateway_lost_half_way_leaves_the_lines_so_far_and_the_open_jobs(
    run: Run, gateway: FakeGateway, photos: Path
) -> None:
    def after_the_first(upload: dict[str, Any]) -> Any:
        return problem(500, "internal-error", "it broke") if len(gateway.uploads) > 1 else None

    gateway.on_upload = after_the_first
    result = run("submit", photos, "--json", "--batch", "2", "--concurrency", "1")
    assert len(lines(result.out)) == 2
    assert result.code == 2
    assert "it broke" in result.err


@pytest.mark.parametrize(
    "arguments",
    [[], ["x.jpg", "--batch", "65"], ["x.jpg", "--timeout", "0"], ["/no/such/photo.jpg"]],
)
def test_wrong_usage_is_exit_code_2(run: Run, gateway: FakeGateway, arguments: list[str]) -> None:
    assert run("submit", *arguments).code == 2


def test_ctrl_c_ends_at_once_and_names_the_open_jobs(gateway: FakeGateway, photos: Path) -> None:
    gateway.finish = False
    with subprocess.Popen(
        [sys.executable, "-m", "services.cli.main", "submit", str(photos)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as running:
        wait_until(
            lambda: any(m == "GET" and "/jobs/" in p for m, p in gateway.requests), 30, "it waits"
        )
        running.send_signal(signal.SIGINT)
        out, error = running.communicate(timeout=10)
    assert running.returncode not in {0, 1, 2}
    assert out == ""
    assert f"detector jobs get {next(iter(gateway.jobs))}" in error
    assert "Traceback" not in error
