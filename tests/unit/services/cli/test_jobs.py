import json
from pathlib import Path
from uuid import uuid4

from tests.support.fake_gateway import MODEL, FakeGateway
from tests.unit.services.cli.conftest import Run


def submitted(run: Run, gateway: FakeGateway, *photos: Path) -> str:
    assert run("submit", *photos, "--no-wait").code == 0
    return list(gateway.jobs)[-1]


def test_a_finished_job_is_a_table(run: Run, gateway: FakeGateway, photos: Path) -> None:
    job_id = submitted(run, gateway, photos / "ai_1.jpg", photos / "bad.jpg")
    result = run("jobs", "get", job_id)
    rows = {row.split()[0]: row.split() for row in result.out.splitlines()}
    assert rows["ai_1.jpg"] == ["ai_1.jpg", "succeeded", "AI-generated", "0.970", "pixels", MODEL]
    assert " ".join(rows["bad.jpg"]).endswith("truncated_image: The file ends too early.")
    assert f"job {job_id}: partial" in result.err
    assert result.code == 1


def test_json_is_the_job_as_the_api_has_it(run: Run, gateway: FakeGateway, photos: Path) -> None:
    job_id = submitted(run, gateway, photos / "ai_1.jpg")
    result = run("jobs", "get", job_id, "--json", "--wait", "5")
    body = json.loads(result.out)
    assert (body["id"], body["status"]) == (job_id, "succeeded")
    assert body["images"][0]["verdict"]["label"] == "ai_generated"
    assert result.code == 0


def test_a_job_still_on_its_way_is_shown_as_it_is(
    run: Run, gateway: FakeGateway, photos: Path
) -> None:
    gateway.finish = False
    job_id = submitted(run, gateway, photos / "ai_1.jpg")
    result = run("jobs", "get", job_id, "--wait", "0.2")
    assert f"job {job_id}: queued" in result.err
    assert result.code == 1


def test_an_unknown_job_and_a_malformed_id_are_exit_code_2(run: Run, gateway: FakeGateway) -> None:
    unknown = run("jobs", "get", uuid4())
    assert (unknown.code, "no such job" in unknown.err) == (2, True)
    assert run("jobs", "get", "seven").code == 2
