"""The gateway: there, ready, accepting the key, with the same time."""

from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from uuid import UUID

from services.cli.doctor.result import Check, Finding, fail, ok, warn
from shared.client.config import ClientConfig, load_client_config
from shared.client.errors import ClientError, ClientNotConfigured, GatewayUnreachable
from shared.client.http import DetectorClient

# An id that no job has: 404 means that the key was accepted.
_NO_JOB = UUID(int=0)
# S3 refuses requests signed more than 15 minutes off.
_SKEW_WARN_SECONDS = 5.0
_SKEW_FAIL_SECONDS = 600.0
_START = "Start it with `make up`, or set DETECTOR_URL to where it runs."


def gateway_checks() -> list[Check]:
    """Return the checks; without a configuration there is only the finding that it is missing."""
    try:
        config = load_client_config()
    except ClientNotConfigured as error:
        what, _, mend = str(error).partition(". ")
        missing = fail(what, mend)
        return [Check("gateway", lambda: missing)]
    return [
        Check("gateway", _with_client(config, reachable)),
        Check("gateway ready", _with_client(config, ready)),
        Check("API key", _with_client(config, key_accepted)),
        Check("clock", _with_client(config, clock)),
    ]


def _with_client(
    config: ClientConfig, check: Callable[[DetectorClient], Finding]
) -> Callable[[], Finding]:
    def run() -> Finding:
        with DetectorClient(config, timeout_seconds=3.0) as client:
            try:
                return check(client)
            except GatewayUnreachable as error:
                return fail(f"no answer from {error.url}", _START)
            except ClientError as error:
                return fail(str(error), "Check that DETECTOR_URL is a detector gateway.")

    return run


def reachable(client: DetectorClient) -> Finding:
    """Check that something alive answers at the URL."""
    response = client.probe("/health/live")
    if response.status_code != 200:
        return fail(
            f"{client.config.url} answers {response.status_code} to /health/live",
            "Check that DETECTOR_URL is a detector gateway.",
        )
    return ok(f"{client.config.url} in {response.elapsed.total_seconds() * 1000:.0f} ms")


def ready(client: DetectorClient) -> Finding:
    """Check that the gateway itself reaches everything that it needs."""
    health = client.health()
    failed = ", ".join(
        f"{name}: {check.detail or check.status}"
        for name, check in health.checks.items()
        if check.status != "ok"
    )
    log = "Its log says more (.local/logs/gateway.log)."
    if health.status == "ok":
        return ok(f"takes requests, version {health.version}")
    if health.status == "degraded":
        return warn(f"takes requests, but {failed}", f"Verdicts may be late. {log}")
    return fail(f"takes no requests: {failed}", f"Mend that first; the next lines say how. {log}")


def key_accepted(client: DetectorClient) -> Finding:
    """Check that the key may read jobs."""
    response = client.probe(f"/jobs/{_NO_JOB}")
    if response.status_code in {200, 404}:
        return ok(f"{client.config.api_key[:8]}… is accepted")
    if response.status_code == 401:
        return fail(
            "the gateway does not know the key",
            "Set DETECTOR_API_KEY to one that `detector keys create` made,"
            " or run `make up` again, which renews the local one.",
        )
    if response.status_code == 403:
        return fail(
            "the key may not read jobs",
            "detector keys create --tenant … --name … --scope jobs:read --scope jobs:write",
        )
    return fail(f"the gateway answers {response.status_code}", "Mend `gateway ready` first.")


def clock(client: DetectorClient) -> Finding:
    """Compare this machine's clock with the gateway's (HTTP `Date`, whole seconds)."""
    header = client.probe("/health/live").headers.get("date", "")
    try:
        theirs = parsedate_to_datetime(header)
    except ValueError:
        return warn("the gateway sends no Date header", "A proxy may strip it; compare by hand.")
    skew = abs((datetime.now(UTC) - theirs).total_seconds())
    detail = f"{skew:.0f} s apart from the gateway's"
    mend = "Let both machines keep time with NTP (`timedatectl set-ntp true`)."
    if skew > _SKEW_FAIL_SECONDS:
        return fail(detail, mend + " S3 refuses requests this far off.")
    return warn(detail, mend) if skew > _SKEW_WARN_SECONDS else ok(detail)
