"""The two files can be sourced by a shell and read by programs."""

import stat
import subprocess
from pathlib import Path

from infra.local.directory import client_env
from infra.local.directory.layout import Layout
from infra.local.servers.urls import ServerUrls


def test_what_is_stored_is_loaded(tmp_path: Path) -> None:
    assert client_env.load(tmp_path) is None
    client_env.store_client(Layout(tmp_path), "http://127.0.0.1:8000", "apd_it's")
    assert client_env.load(tmp_path) == client_env.ClientEnv("http://127.0.0.1:8000", "apd_it's")


def test_a_shell_reads_the_same_values(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    client_env.store_client(layout, "http://127.0.0.1:8000", "a $b `c` 'd'")
    client_env.store_servers(
        layout, ServerUrls("db", "redis", "s3", "access", "secret").environment()
    )
    script = f'. {layout.client_env}; . {layout.servers_env}; printf "%s\\n" "$DETECTOR_API_KEY"'
    script += '; sh -c "printf %s \\"\\$DETECTOR_S3_SECRET_KEY\\""'
    done = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "a $b `c` 'd'\nsecret"


def test_a_rewritten_file_is_never_open_to_others(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    layout.client_env.touch(mode=0o644)
    client_env.store_client(layout, "http://127.0.0.1:8000", "key")
    assert stat.S_IMODE(layout.client_env.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [layout.client_env]
