"""Turns a tenant's limits into headers and 429 problems."""

from services.gateway import metrics
from services.gateway.http.facts import RequestFacts
from services.gateway.http.problems import QUEUE_FULL, RATE_LIMITED, ProblemError
from services.gateway.wiring import Gateway
from shared.db.tenants.keys import Principal


async def check_rate(gateway: Gateway, principal: Principal, facts: RequestFacts) -> None:
    """Count the request, put `RateLimit-*` on its answer; raises ProblemError (RATE_LIMITED)."""
    allowance = await gateway.limits.count(principal.tenant_id, principal.requests_per_minute)
    if allowance is None:
        return
    facts.headers.update(allowance.headers())
    if not allowance.allowed:
        metrics.LIMITED.labels("rate").inc()
        raise ProblemError(
            RATE_LIMITED,
            f"the tenant may send {allowance.limit} requests per minute",
            headers={"Retry-After": str(allowance.reset_seconds)},
        )


def check_queue(gateway: Gateway, principal: Principal, waiting: int) -> None:
    """Raise ProblemError (QUEUE_FULL) when `waiting` photos are as many as the tenant may have.

    A request that begins below the quota is taken whole, so it may be passed by one request's
    photos for each request on its way.
    """
    quota = principal.max_open_images
    if quota is None:
        quota = gateway.settings.gateway_max_open_images
    if 0 < quota <= waiting:
        metrics.LIMITED.labels("queue").inc()
        raise ProblemError(
            QUEUE_FULL,
            f"the tenant has {waiting} photos waiting and may have {quota}",
            headers={"Retry-After": gateway.queue.retry_after()},
        )
