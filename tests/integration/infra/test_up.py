"""`make up` as a person uses it: boots the product, writes the files, ends on Ctrl-C."""

import os
import signal
import socket
import stat
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml

from infra.local.directory import client_env
from infra.local.directory.layout import Layout
from tests.integration.infra.processes import processes_of
from tests.support.processes import free_port


@contextmanager
def _up(directory: Path, gateway_port: int) -> Iterator[subprocess.Popen[str]]:
    own = {
        "DETECTOR_LOCAL_DIR": str(directory),
        "DETECTOR_GATEWAY_PORT": str(gateway_port),
        "DETECTOR_UI_PORT": str(free_port()),
    }
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("DETECTOR_")}
    command = [sys.executable, "-m", "infra.local.up"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env={**inherited, **own}
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def _read_until(process: subprocess.Popen[str], text: str) -> str:
    read = ""
    while text not in read:
        line = process.stdout.readline()
        assert line, f"it ended after:\n{read}"
        read += line
    return read


def _status(url: str, path: str, key: str | None) -> int:
    request = urllib.request.Request(f"{url}{path}", headers={"Authorization": f"Bearer {key}"})
    try:
        with urllib.request.urlopen(request) as response:
            return int(response.status)
    except urllib.error.HTTPError as error:
        error.close()
        return error.code


@pytest.mark.timeout(240)
def test_up_boots_the_product_and_ctrl_c_leaves_nothing(tmp_path: Path) -> None:
    """The usual port is taken, so the gateway moves, says so, and `detector.env` knows."""
    directory = tmp_path / "local"
    with (
        socket.create_server(("127.0.0.1", 0)) as holder,
        _up(directory, taken := holder.getsockname()[1]) as process,
    ):
        said = _read_until(process, "Ctrl-C stops everything")
        assert f"ATTENTION: port {taken} is taken" in said
        client = client_env.load(directory)
        assert client is not None
        assert client.url in said
        assert client.api_key in said
        # 404 and not 401: the key is known, the job is not.
        missing = "/jobs/00000000-0000-7000-8000-000000000000"
        assert _status(client.url, missing, client.api_key) == 404
        assert _status(client.url, "/keys", client.api_key) == 200
        # The web page's key sees jobs and nothing else.
        web_page = client_env.load_web_page_key(Layout(directory))
        assert _status(client.url, missing, web_page) == 404
        for path in ("/keys", "/catalogs", "/webhooks"):
            assert _status(client.url, path, web_page) == 403
        for job in yaml.safe_load(Layout(directory).prometheus.read_text())["scrape_configs"]:
            (target,) = job["static_configs"][0]["targets"]
            assert (
                job["job_name"] == "prometheus"
                or _status(f"http://{target}", "/metrics", "") == 200
            )
        process.send_signal(signal.SIGINT)
        assert process.wait(90) == 0
    assert processes_of(tmp_path) == []
    layout = Layout(directory)
    for path in (layout.client_env, layout.servers_env, layout.web_page_env):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
