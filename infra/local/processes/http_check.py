"""Readiness of a service by HTTP."""

import urllib.request
from collections.abc import Callable

_TIMEOUT_S = 5.0
# Proxies of the environment do not lead to this machine's own ports.
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def answers(url: str) -> Callable[[], None]:
    """Return a check that passes once `url` answers with a 2xx status."""

    def check() -> None:
        # Raises urllib.error.HTTPError for 4xx and 5xx, OSError while nothing listens.
        with _OPENER.open(url, timeout=_TIMEOUT_S):
            pass

    return check
