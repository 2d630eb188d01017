"""A client generated from `/openapi.json` submits a photo and reads its verdict."""

import importlib
import io
import json
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from uuid import UUID

import pytest

from tests.support.photos import samples

# The generator knows JSON and octets; these are octets to it.
_CONFIG = {
    "post_hooks": [],
    "content_type_overrides": {
        "application/zip": "application/octet-stream",
        "image/png": "application/octet-stream",
        "application/vnd.apache.parquet": "application/octet-stream",
        "application/x-ndjson": "text/plain",
        "text/csv": "text/plain",
    },
}


@pytest.fixture(scope="module")
def generate(stack, tmp_path_factory: pytest.TempPathFactory):
    """The generated package, by module name."""
    directory: Path = tmp_path_factory.mktemp("generated")
    (directory / "config.json").write_text(json.dumps(_CONFIG))
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "from openapi_python_client.cli import app; app()",
            "generate",
            "--url",
            f"{stack.url}/openapi.json",
            "--meta",
            "none",
            "--output-path",
            str(directory / "detector_api"),
            "--config",
            str(directory / "config.json"),
            "--fail-on-warning",
        ],
        cwd=directory,
        env={**os.environ, "COLUMNS": "200"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=150,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-4000:]
    sys.path.insert(0, str(directory))

    def module(name: str) -> ModuleType:
        return importlib.import_module(f"detector_api{name}")

    yield module
    sys.path.remove(str(directory))
    for name in [each for each in sys.modules if each.startswith("detector_api")]:
        del sys.modules[name]


@pytest.mark.timeout(400)
def test_the_generated_client_submits_a_photo_and_reads_its_verdict(generate, stack) -> None:
    models, types = generate(".models"), generate(".types")
    client = generate("").AuthenticatedClient(base_url=stack.url, token=stack.key)
    name, content = samples()[0]
    body = models.SubmitJobFilesBody(
        images=[types.File(payload=io.BytesIO(content), file_name=name, mime_type="image/jpeg")],
        listing_id="L-1",
    )
    with client:
        job = generate(".api.jobs.submit_job").sync(client=client, body=body)
        assert isinstance(job, models.Job), job
        finished = job
        for _ in range(5):
            finished = generate(".api.jobs.get_job").sync(job.id, client=client, wait=30)
            if finished.status not in {models.JobStatus.QUEUED, models.JobStatus.RUNNING}:
                break
        missing = generate(".api.jobs.get_job").sync(UUID(int=0), client=client)
    assert (finished.id, finished.listing_id) == (job.id, "L-1")
    verdict = finished.images[0].verdict
    assert isinstance(verdict, models.Verdict)
    assert 0.0 <= verdict.probability <= 1.0
    assert isinstance(missing, models.Problem)
    assert missing.status == 404
