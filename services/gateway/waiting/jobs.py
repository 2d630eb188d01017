"""The use case behind long polls: read a job, and wait for its end when asked to."""

import functools
import time
from uuid import UUID

from sqlalchemy.orm import Session

from services.gateway.waiting.listener import next_change
from services.gateway.wiring import Gateway
from shared.db.jobs.rows import JobView, get_job
from shared.present.jobs import is_finished


async def read_job(
    gateway: Gateway,
    tenant_id: UUID,
    job_id: UUID,
    wait_seconds: float = 0.0,
    *,
    until_shutdown: bool = False,
) -> JobView | None:
    """Return the tenant's job, None when it has none of this id.

    Waits up to `wait_seconds` for it to finish, woken by the database's notification. With
    `until_shutdown` the wait ends early when the process is about to end.
    """
    deadline = time.monotonic() + wait_seconds
    read = functools.partial(_read, tenant_id, job_id)
    with gateway.listener.subscribe(job_id) as changed:
        while True:
            view = await gateway.in_database(read)
            left = deadline - time.monotonic()
            if view is None or is_finished(view) or left <= 0:
                return view
            if until_shutdown and gateway.listener.closing:
                return view
            await next_change(changed, min(left, gateway.settings.gateway_wait_recheck_seconds))


def _read(tenant_id: UUID, job_id: UUID, session: Session) -> JobView | None:
    return get_job(session, tenant_id, job_id)
