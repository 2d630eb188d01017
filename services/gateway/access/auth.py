"""API keys: who is calling, and may they."""

from collections.abc import Awaitable, Callable
from typing import Annotated

from fastapi import Depends, Request
from fastapi.security import APIKeyHeader, HTTPAuthorizationCredentials, HTTPBearer
from sqlalchemy.orm import Session

from services.gateway.access.enforcement import check_queue, check_rate
from services.gateway.dependencies import GatewayDep
from services.gateway.http.facts import facts_of
from services.gateway.http.problems import MISSING_SCOPE, UNAUTHENTICATED, ProblemError
from shared.contracts.scopes import Scope
from shared.db.tenants.keys import Principal, authenticate
from shared.db.tenants.limits import count_open_images

_bearer = HTTPBearer(
    auto_error=False, scheme_name="bearer", description="`Authorization: Bearer KEY`"
)
_header = APIKeyHeader(
    name="X-API-Key", auto_error=False, scheme_name="api_key", description="`X-API-Key: KEY`"
)


def require(scope: Scope, *, submits: bool = False) -> Callable[..., Awaitable[Principal]]:
    """Return a dependency that gives the caller, or raises ProblemError (401, 403, 429).

    It runs before the route reads the body: an upload without a key is answered at once. With
    `submits` the tenant's quota of waiting photos holds as well.
    """

    async def caller(
        request: Request,
        gateway: GatewayDep,
        bearer: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)],
        header: Annotated[str | None, Depends(_header)],
    ) -> Principal:
        key = bearer.credentials if bearer else header
        if not key:
            raise _unauthenticated("no API key was sent", "")
        principal, waiting = await gateway.in_database(
            lambda session: _look_up(session, key, submits)
        )
        if principal is None:
            raise _unauthenticated(
                "the API key is unknown, was revoked or has expired", ', error="invalid_token"'
            )
        facts_of(request.scope).tenant_id = principal.tenant_id
        await check_rate(gateway, principal, facts_of(request.scope))
        if not principal.may(scope):
            raise ProblemError(
                MISSING_SCOPE,
                f"the key does not carry the scope {scope.value!r}",
                headers={"WWW-Authenticate": _challenge(', error="insufficient_scope"')},
            )
        check_queue(gateway, principal, waiting)
        return principal

    return caller


def _look_up(session: Session, key: str, submits: bool) -> tuple[Principal | None, int]:
    """Return the caller and, when it matters, how many photos its tenant has waiting."""
    principal = authenticate(session, key)
    if principal is None or not submits:
        return principal, 0
    return principal, count_open_images(session, principal.tenant_id)


def _challenge(error: str) -> str:
    return f'Bearer realm="detector"{error}'


def _unauthenticated(detail: str, error: str) -> ProblemError:
    return ProblemError(UNAUTHENTICATED, detail, headers={"WWW-Authenticate": _challenge(error)})


Writer = Annotated[Principal, Depends(require(Scope.JOBS_WRITE))]
# For whoever submits photos.
Submitter = Annotated[Principal, Depends(require(Scope.JOBS_WRITE, submits=True))]
CatalogCaller = Annotated[Principal, Depends(require(Scope.CATALOGS))]
CatalogSubmitter = Annotated[Principal, Depends(require(Scope.CATALOGS, submits=True))]
Admin = Annotated[Principal, Depends(require(Scope.ADMIN))]
Reader = Annotated[Principal, Depends(require(Scope.JOBS_READ))]
