"""`/health`, `/health/live`, `/health/ready`, `/metrics`: for orchestrators and people on call."""

from typing import Literal

from anyio import to_thread
from fastapi import APIRouter, Response

from services.gateway.dependencies import GatewayDep
from services.gateway.http.problems import INTERNAL_ERROR, NOT_READY, ProblemError
from services.gateway.openapi.document import problem_docs
from services.gateway.version import VERSION
from services.gateway.wiring import Gateway
from shared.contracts.wire.jobs import Health, HealthCheck
from shared.core import metrics

router = APIRouter(tags=["operation"])

_EXAMPLE = {
    "status": "ok",
    "version": VERSION,
    "checks": {
        "database": {"status": "ok", "detail": None},
        "storage": {"status": "ok", "detail": None},
        "broker": {"status": "ok", "detail": None},
    },
}
# Without these nothing can be accepted. The broker is only a delivery hint.
_NEEDED = frozenset({"database", "storage"})


@router.get(
    "/health/live",
    operation_id="live",
    summary="Is the process alive?",
    responses={
        200: {"content": {"application/json": {"example": {**_EXAMPLE, "checks": {}}}}},
        **problem_docs(INTERNAL_ERROR),
    },
)
async def live() -> Health:
    """Answer without looking at any server: restarting this process would not mend those."""
    return Health(status="ok", version=VERSION)


@router.get(
    "/health/ready",
    operation_id="ready",
    summary="Can it take requests?",
    description="503 while the database (reached, and migrated) or the object store is away."
    " Without the broker it is `degraded`: what is accepted stays safe and is judged later.",
    responses={
        200: {"content": {"application/json": {"example": _EXAMPLE}}},
        **problem_docs(INTERNAL_ERROR, NOT_READY),
    },
)
async def ready(gateway: GatewayDep) -> Health:
    """Check every server."""
    return await _health(gateway)


@router.get(
    "/health",
    operation_id="health",
    summary="Health in short",
    description="The same as `/health/ready`.",
    responses={
        200: {"content": {"application/json": {"example": _EXAMPLE}}},
        **problem_docs(INTERNAL_ERROR, NOT_READY),
    },
)
async def health(gateway: GatewayDep) -> Health:
    """Check every server."""
    return await _health(gateway)


@router.get(
    "/metrics",
    operation_id="metrics",
    summary="Prometheus metrics",
    description="Of all gateway processes together.",
    response_class=Response,
    responses={
        200: {"content": {"text/plain": {"schema": {"type": "string"}}}},
        **problem_docs(INTERNAL_ERROR),
    },
)
async def prometheus() -> Response:
    """Render the metrics; with several processes that reads their files, so in a thread."""
    body, content_type = await to_thread.run_sync(metrics.render)
    return Response(body, headers={"Content-Type": content_type})


async def _health(gateway: Gateway) -> Health:
    checks = await gateway.health.results()
    status = overall(checks)
    if status == "unavailable":
        failed = [name for name, check in checks.items() if check.status == "failed"]
        raise ProblemError(
            NOT_READY,
            f"not available: {', '.join(failed)}",
            headers={"Retry-After": "2"},
            extensions={"checks": checks},
        )
    return Health(status=status, version=VERSION, checks=checks)


def overall(checks: dict[str, HealthCheck]) -> Literal["ok", "degraded", "unavailable"]:
    """Return the worst that `checks` mean for accepting photos."""
    failed = {name for name, check in checks.items() if check.status == "failed"}
    if failed & _NEEDED:
        return "unavailable"
    return "degraded" if failed else "ok"
