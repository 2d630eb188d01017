"""First start of the embedded stack: a tenant, and keys to call the API with."""

from collections.abc import Sequence

from sqlalchemy.orm import Session

from shared.contracts.scopes import DEFAULT_SCOPES, Scope
from shared.db.engine import make_engine
from shared.db.tenants.keys import authenticate, create_key, get_or_create_tenant

LOCAL_TENANT = "local"


def ensure_local_key(database_url: str, existing: str | None = None) -> str:
    """Return `existing` while the database knows it, else a new `admin` key of tenant "local".

    It is the key of the person whose machine this is.
    """
    return _ensure(database_url, existing, "embedded stack", [Scope.ADMIN])


def ensure_web_page_key(database_url: str, existing: str | None = None) -> str:
    """As `ensure_local_key`, for the web page: it submits and reads photos and may no more."""
    return _ensure(database_url, existing, "embedded web page", DEFAULT_SCOPES)


def _ensure(database_url: str, existing: str | None, name: str, scopes: Sequence[Scope]) -> str:
    engine = make_engine(database_url, pool_size=1)
    try:
        with Session(engine) as session, session.begin():
            if existing and authenticate(session, existing):
                return existing
            tenant_id = get_or_create_tenant(session, LOCAL_TENANT)
            return create_key(session, tenant_id, name, scopes)
    finally:
        engine.dispose()
