"""Container health check: `healthcheck.py PORT_VARIABLE PATH` exits 0 when this container answers.

Copied alone into every image, which has no curl, so it uses the standard library only.
"""

import os
import sys
from http.client import HTTPException
from urllib.request import ProxyHandler, build_opener

# Below Docker's own limit (`--timeout=5s`), so that the reason gets into `docker inspect`.
TIMEOUT_SECONDS = 4.0


def main(arguments: list[str]) -> int:
    """Return 0 if `http://127.0.0.1:$PORT_VARIABLE/PATH` answers 2xx or 3xx, else 1.

    Args:
        arguments: name of the variable that holds the port, and the path.
    """
    variable, path = arguments
    url = f"http://127.0.0.1:{os.environ[variable]}{path}"
    try:
        # A proxy of the environment is for the way out, not for this container itself.
        with build_opener(ProxyHandler({})).open(url, timeout=TIMEOUT_SECONDS):
            return 0
    except (OSError, HTTPException) as error:
        print(f"{url}: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
