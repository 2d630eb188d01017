"""Where the gateway is and which key to show it.

`DETECTOR_URL` and `DETECTOR_API_KEY` come from the environment, else from `detector.env` in the
embedded stack's directory, which `make up` writes.
"""

import os
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from shared.client.errors import ClientNotConfigured
from shared.core.settings import local_dir

CLIENT_ENV_FILE = "detector.env"
_HOW_TO_MEND = (
    "Run `make up`, which starts everything and writes both to {path},"
    " or set DETECTOR_URL and DETECTOR_API_KEY."
)


@dataclass(frozen=True, slots=True)
class ClientConfig:
    """`url` is the gateway's root without a trailing slash; the key stays out of reprs."""

    url: str
    api_key: str = field(repr=False)


def read_env_file(path: Path) -> dict[str, str]:
    """Return the variables of a shell-sourceable file of `export NAME='value'` lines.

    A missing file gives no variables; lines of another form are passed over.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError:
        return {}
    variables: dict[str, str] = {}
    for line in lines:
        try:
            words = shlex.split(line, comments=True)
        except ValueError:
            continue
        for word in words[1:] if words[:1] == ["export"] else words:
            name, separator, value = word.partition("=")
            if separator:
                variables[name] = value
    return variables


def load_client_config(
    environ: Mapping[str, str] | None = None, directory: Path | None = None
) -> ClientConfig:
    """Return URL and key; `environ` defaults to the process's, `directory` to the local stack's.

    Raises ClientNotConfigured that says what is missing and how to mend it.
    """
    environ = os.environ if environ is None else environ
    path = (directory or local_dir()) / CLIENT_ENV_FILE
    written = read_env_file(path)
    url = _checked_url(environ.get("DETECTOR_URL") or written.get("DETECTOR_URL", ""), path)
    key = environ.get("DETECTOR_API_KEY")
    # The local stack's key is shown to the local stack's gateway only, not to wherever
    # DETECTOR_URL may point.
    if not key and url == written.get("DETECTOR_URL", "").rstrip("/"):
        key = written.get("DETECTOR_API_KEY")
    if not key:
        raise ClientNotConfigured(
            f"no API key for {url}. " + _HOW_TO_MEND.format(path=path)
            if environ.get("DETECTOR_URL") is None
            else f"no API key for {url}. Set DETECTOR_API_KEY to one that"
            " `detector keys create` made there."
        )
    return ClientConfig(url, key)


def _checked_url(url: str, path: Path) -> str:
    if not url:
        raise ClientNotConfigured("no gateway is known. " + _HOW_TO_MEND.format(path=path))
    try:
        parts = urlsplit(url)
        usable = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise ClientNotConfigured(
            f"DETECTOR_URL={url!r} is not a URL like http://127.0.0.1:8000. Correct it."
        )
    return url.rstrip("/")
