"""The README's own commands work as they stand there."""

import json
import os
import re
import shutil
import subprocess

import pytest

from shared.core.settings import REPOSITORY_ROOT
from tests.support.photos import samples

README = (REPOSITORY_ROOT / "README.md").read_text()
CURLS = re.findall(r"^    (curl .+)$", README, re.MULTILINE)


@pytest.fixture
def run_curl(stack, tmp_path):
    if shutil.which("curl") is None:
        assert not os.environ.get("CI"), "CI must have curl"
        pytest.skip("curl is not installed")
    (tmp_path / "photo.jpg").write_bytes(samples()[0][1])

    def run(command: str, **variables: str) -> dict:
        # The README speaks of the default port; the test's stack has one of its own.
        command = command.replace("localhost:8000", f"127.0.0.1:{stack.port}")
        done = subprocess.run(
            ["bash", "-c", f"{command} --silent --show-error --fail"],
            cwd=tmp_path,
            env={**os.environ, "KEY": stack.key, **variables},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return run


def test_the_three_calls_work_exactly_as_written(run_curl):
    submit, read, predict = CURLS
    job = run_curl(submit)
    finished = run_curl(read, ID=job["id"])
    assert finished["status"] == "succeeded"
    assert run_curl(predict)["prediction"] == finished["images"][0]["verdict"]["label"]


def test_every_make_target_that_is_named_exists():
    makefile = (REPOSITORY_ROOT / "Makefile").read_text()
    for target in set(re.findall(r"`?make ([a-z][a-z-]+)", README)):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


def test_every_linked_page_exists():
    for path in re.findall(r"\]\((?!http)([^)#]+)\)", README):
        assert (REPOSITORY_ROOT / path).is_file(), path
