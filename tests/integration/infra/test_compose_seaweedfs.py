"""The SeaweedFS override's own commands, run by the real `weed` of the same version."""

import io
import os
import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import urllib3
from minio import Minio
from minio.error import S3Error

from infra.local.directory.state import GRPC_OFFSET, State, assign_ports
from infra.local.servers.binaries import weed
from tests.support.containers import DOCKERFILE, read_compose

SERVICES: dict[str, dict[str, Any]] = read_compose(DOCKERFILE.parent / "compose.seaweedfs.yml")[
    "services"
]
KEYS = {"AWS_ACCESS_KEY_ID": "AKIAEXAMPLE", "AWS_SECRET_ACCESS_KEY": "example-secret"}
PARTS = ("s3", "filer", "master", "volume", "admin")


@pytest.fixture
def ports() -> dict[str, int]:
    """Where each part listens here; in the container it is alone and takes the usual ones."""
    state = State(stack_id="unused")
    assign_ports(state, list(PARTS))
    return state.ports


@pytest.fixture
def server(ports: dict[str, int], tmp_path: Path) -> Iterator[str]:
    """Address of the S3 server that the `s3` service's command starts."""
    command = [
        word.replace("-dir=/data", f"-dir={tmp_path}").replace("=0.0.0.0", "=127.0.0.1")
        for word in SERVICES["s3"]["command"]
        if not word.startswith("-s3.port=")
    ]
    for part, port in ports.items():
        command += [f"-{part}.port={port}", f"-{part}.port.grpc={port + GRPC_OFFSET}"]
    assert set(SERVICES["s3"]["environment"]) == set(KEYS)
    check = SERVICES["s3"]["healthcheck"]["test"][-1].replace("9000", str(ports["s3"]))
    with (tmp_path / "log").open("w") as log:
        process = subprocess.Popen(
            [weed(), *command], env={**os.environ, **KEYS}, cwd=tmp_path, stdout=log, stderr=log
        )
        try:
            _wait_until_healthy(check, process)
            yield f"127.0.0.1:{ports['s3']}"
        finally:
            process.terminate()
            process.wait(timeout=30)


def _wait_until_healthy(check: str, process: "subprocess.Popen[bytes]") -> None:
    end = time.monotonic() + 60
    with urllib3.PoolManager(retries=False, timeout=2) as pool:
        while time.monotonic() < end and process.poll() is None:
            try:
                if pool.request("GET", check).status == 200:
                    return
            except urllib3.exceptions.HTTPError:
                time.sleep(0.1)
    pytest.fail(f"{check} does not answer")


def _client(server: str, secret: str) -> Minio:
    return Minio(server, KEYS["AWS_ACCESS_KEY_ID"], secret, secure=False, region="us-east-1")


def test_only_the_key_pair_of_the_environment_may_write(server: str):
    client = _client(server, KEYS["AWS_SECRET_ACCESS_KEY"])
    client.make_bucket("photos")
    client.put_object("photos", "photo", io.BytesIO(b"bytes"), 5)
    for stranger in (_client(server, "wrong"), Minio(server, secure=False, region="us-east-1")):
        with pytest.raises(S3Error, match=r"SignatureDoesNotMatch|AccessDenied"):
            stranger.list_buckets()


def test_the_setup_makes_written_objects_durable(server: str, ports: dict[str, int]):
    (script,) = SERVICES["s3-setup"]["command"]
    # The image has `weed` on its path; the master's gRPC port is at its usual distance here too.
    script = re.sub(r"\bweed\b", str(weed()), script).replace("9333", str(ports["master"]))
    shell = [*SERVICES["s3-setup"]["entrypoint"], script]
    subprocess.run(shell, check=True, capture_output=True, timeout=60)
    with urllib3.PoolManager(timeout=5) as pool:
        url = f"http://127.0.0.1:{ports['filer']}/etc/seaweedfs/filer.conf"
        (location,) = pool.request("GET", url).json()["locations"]
    assert (location["locationPrefix"], location["fsync"]) == ("/buckets/", True)
