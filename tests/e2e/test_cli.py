"""The `detector` command against the whole running system."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import psycopg
import pytest

from shared.core.settings import REPOSITORY_ROOT
from tests.support.photos import SAMPLES, jpeg, samples, truncated_jpeg
from tests.support.servers import Servers
from tests.support.system import System

LABELS = {"real", "ai_generated", "uncertain"}
COMMAND = [sys.executable, "-m", "services.cli.main"]

Detector = Callable[..., "subprocess.CompletedProcess[str]"]


def environment(local: Path, variables: Mapping[str, str]) -> dict[str, str]:
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("DETECTOR_")}
    return {**inherited, "DETECTOR_LOCAL_DIR": str(local), **variables}


def client_of(system: System) -> dict[str, str]:
    return {"DETECTOR_URL": system.url, "DETECTOR_API_KEY": system.key}


@pytest.fixture
def detector(stack: System, tmp_path: Path) -> Detector:
    """A function that runs `detector` with the running system's addresses."""
    known = {**stack.servers.environment(), **client_of(stack)}

    def run(*arguments: object, **extra: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [*COMMAND, *map(str, arguments)],
            env=environment(tmp_path, {**known, **extra}),
            cwd=REPOSITORY_ROOT,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )

    return run


def lines(out: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in out.splitlines()]


def test_every_sample_photo_gets_a_verdict_of_the_shipped_model(detector: Detector) -> None:
    done = detector("submit", SAMPLES, "--json")
    assert done.returncode == 0, done.stderr
    found = lines(done.stdout)
    assert {Path(line["file"]).name for line in found} == {name for name, _ in samples()}
    version = json.loads((REPOSITORY_ROOT / "models/champion/model.json").read_text())["version"]
    for line in found:
        assert line["label"] in LABELS
        assert 0.0 <= line["probability"] <= 1.0
        assert (line["model_version"], line["error"]) == (version, None)


def test_bad_files_fail_alone_with_the_gateways_reasons(detector: Detector, tmp_path: Path) -> None:
    files = {
        "good.jpg": jpeg(7),
        "cut.jpg": truncated_jpeg(8),
        "empty.jpg": b"",
        "text.jpg": b"hello",
    }
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    done = detector("submit", *(tmp_path / name for name in files), "--json")
    assert done.returncode == 1
    codes = {Path(line["file"]).name: line["error"] for line in lines(done.stdout)}
    assert codes.pop("good.jpg") is None
    assert {name: error["code"] for name, error in codes.items()} == {
        "cut.jpg": "truncated_image",
        "empty.jpg": "empty_file",
        "text.jpg": "unsupported_type",
    }


def test_a_listing_is_one_job_that_can_be_read_later(detector: Detector) -> None:
    sent = detector("submit", SAMPLES, "--no-wait", "--listing-id", "L-9", "--category", "mugs")
    assert sent.returncode == 0, sent.stderr
    (job_id,) = sent.stdout.split()
    read = detector("jobs", "get", job_id, "--wait", "60", "--json")
    assert read.returncode == 0, read.stderr
    job = json.loads(read.stdout)
    assert (job["status"], job["listing_id"], job["category"]) == ("succeeded", "L-9", "mugs")
    assert len(job["images"]) == len(samples())
    assert job["verdict"]["label"] in LABELS


def test_keys_are_made_listed_and_revoked(detector: Detector) -> None:
    made = detector("keys", "create", "--tenant", "shop", "--name", "e2e", "--json")
    assert made.returncode == 0, made.stderr
    key = json.loads(made.stdout)
    assert key["scopes"] == ["jobs:write", "jobs:read"]
    photo = SAMPLES / samples()[0][0]
    assert detector("submit", photo, DETECTOR_API_KEY=key["key"]).returncode == 0

    listed = lines(detector("keys", "list", "--json").stdout)
    (entry,) = [entry for entry in listed if entry["name"] == "e2e"]
    assert entry["tenant"] == "shop"
    assert key["key"].startswith(entry["prefix"])
    assert key["key"] not in str(listed)

    assert detector("keys", "revoke", entry["id"]).returncode == 0
    assert detector("keys", "revoke", entry["id"]).returncode == 1
    refused = detector("submit", photo, DETECTOR_API_KEY=key["key"])
    assert refused.returncode == 2
    assert "detector keys create" in refused.stderr


def test_a_key_may_do_only_what_its_scopes_say(detector: Detector) -> None:
    scope = ["--scope", "jobs:read"]
    made = detector("keys", "create", "--tenant", "shop", "--name", "reader", *scope)
    refused = detector("submit", SAMPLES, DETECTOR_API_KEY=made.stdout.strip())
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "jobs:write" in refused.stderr


def test_another_tenants_job_is_not_there(detector: Detector) -> None:
    job_id = detector("submit", SAMPLES / samples()[0][0], "--no-wait").stdout.strip()
    other = detector("keys", "create", "--tenant", "rival", "--name", "r").stdout.strip()
    hidden = detector("jobs", "get", job_id, DETECTOR_API_KEY=other)
    assert hidden.returncode == 2
    assert detector("jobs", "get", job_id, "--wait", "30").returncode == 0


def test_doctor_finds_a_running_system_well(detector: Detector) -> None:
    done = detector("doctor", "--json")
    found = {line["check"]: line for line in lines(done.stdout)}
    assert done.returncode == 0, done.stdout
    for name in ("gateway", "gateway ready", "API key", "database", "redis", "object store"):
        assert found[name]["level"] == "ok", found[name]
    assert found["model package"]["level"] == "ok"


def test_doctor_names_each_thing_that_is_wrong(detector: Detector) -> None:
    wrong = {
        "DETECTOR_API_KEY": "apd_wrong",
        "DETECTOR_S3_SECRET_KEY": "wrong",
        "DETECTOR_REDIS_URL": "redis://127.0.0.1:9/0",
    }
    done = detector("doctor", "--json", **wrong)
    failed = {line["check"]: line for line in lines(done.stdout) if line["level"] == "fail"}
    assert done.returncode == 1
    assert set(failed) == {"API key", "redis", "object store"}
    assert all(line["mend"] for line in failed.values())


def test_an_empty_database_is_migrated_by_one_command(servers: Servers, tmp_path: Path) -> None:
    plain = servers.database_url.replace("postgresql+psycopg://", "postgresql://")
    with psycopg.connect(plain, autocommit=True) as connection:
        connection.execute("DROP SCHEMA public CASCADE")
        connection.execute("CREATE SCHEMA public")

    def run(*arguments: str) -> "subprocess.CompletedProcess[str]":
        known = environment(tmp_path, {"DETECTOR_DATABASE_URL": servers.database_url})
        command = [*COMMAND, *arguments]
        return subprocess.run(
            command, env=known, capture_output=True, text=True, check=False, timeout=60
        )

    unmigrated = run("keys", "list")
    assert unmigrated.returncode == 2
    assert "detector db upgrade" in unmigrated.stderr
    assert run("db", "status").returncode == 1
    assert run("db", "upgrade").returncode == 0
    status = run("db", "status", "--json")
    assert status.returncode == 0
    state = json.loads(status.stdout)
    assert state["revision"] == state["newest"]
    assert "***" in state["database"]
    assert "already" in run("db", "upgrade").stderr


def test_waiting_survives_a_restart_of_the_gateway(
    make_system: Callable[[], System], tmp_path: Path
) -> None:
    """The gateway is killed while `submit` waits: the verdicts arrive all the same, once."""
    system = make_system()
    gateway = system.gateway()
    # It may be killed before it has told the broker: the sweep of the outbox does that then.
    system.maintenance()
    # So few that they are one job.
    few = [str(SAMPLES / name) for name, _ in samples()[:6]]
    with subprocess.Popen(
        [*COMMAND, "submit", *few, "--json"],
        env=environment(tmp_path, client_of(system)),
        cwd=REPOSITORY_ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as waiting:
        try:
            gateway.wait_for_line('"status": 202')
            gateway.kill()
            gateway.start()
            system.worker()
            out, error = waiting.communicate(timeout=120)
        finally:
            waiting.kill()
    assert waiting.returncode == 0, error
    assert len(lines(out)) == len(few)
    assert jobs_of(system) == 1


def jobs_of(system: System) -> int:
    plain = system.servers.database_url.replace("postgresql+psycopg://", "postgresql://")
    with psycopg.connect(plain) as connection:
        row = connection.execute("SELECT count(*) FROM jobs").fetchone()
    return int(row[0]) if row else 0
