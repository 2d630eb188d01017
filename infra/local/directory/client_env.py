"""The files that tell people and scripts where everything is.

`detector.env` has DETECTOR_URL and DETECTOR_API_KEY; `servers.env` has the servers' addresses;
`web-page.env` has the key of the web page, which may do less. All hold `export NAME='value'` lines,
for `source`, and are readable by their owner only.
"""

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from infra.local.directory.layout import Layout
from infra.local.directory.private_file import write_private
from shared.client.config import read_env_file
from shared.core.settings import local_dir


@dataclass(frozen=True)
class ClientEnv:
    """How to call the local gateway."""

    url: str
    api_key: str = field(repr=False)


def load(directory: Path | None = None) -> ClientEnv | None:
    """Return what `detector.env` says; None if it was never written.

    Args:
        directory: the stack's; by default DETECTOR_LOCAL_DIR or `.local`.
    """
    values = read_env_file(Layout(directory or local_dir()).client_env)
    url, api_key = values.get("DETECTOR_URL"), values.get("DETECTOR_API_KEY")
    return ClientEnv(url, api_key) if url and api_key else None


def store_client(layout: Layout, url: str, api_key: str) -> None:
    """Write `detector.env`."""
    write_private(layout.client_env, _exports({"DETECTOR_URL": url, "DETECTOR_API_KEY": api_key}))


def load_web_page_key(layout: Layout) -> str | None:
    """Return the key in `web-page.env`; None if it was never written."""
    return read_env_file(layout.web_page_env).get("DETECTOR_API_KEY")


def store_web_page_key(layout: Layout, api_key: str) -> None:
    """Write `web-page.env`."""
    write_private(layout.web_page_env, _exports({"DETECTOR_API_KEY": api_key}))


def store_servers(layout: Layout, values: Mapping[str, str]) -> None:
    """Write `servers.env`: what a service that is started by hand needs."""
    write_private(layout.servers_env, _exports(values))


def _exports(values: Mapping[str, str]) -> str:
    return "".join(f"export {name}={_single_quoted(value)}\n" for name, value in values.items())


def _single_quoted(value: str) -> str:
    quoted = shlex.quote(value)
    return quoted if quoted.startswith("'") else f"'{quoted}'"
