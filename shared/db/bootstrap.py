"""First start of the embedded stack: a tenant and a key to call the API with."""

from sqlalchemy.orm import Session

from shared.contracts.scopes import Scope
from shared.db.engine import make_engine
from shared.db.keys import authenticate, create_key, get_or_create_tenant

LOCAL_TENANT = "local"


def ensure_local_key(database_url: str, existing: str | None = None) -> str:
    """Return `existing` while the database knows it, else a new `admin` key of tenant "local"."""
    engine = make_engine(database_url, pool_size=1)
    try:
        with Session(engine) as session, session.begin():
            if existing and authenticate(session, existing):
                return existing
            tenant_id = get_or_create_tenant(session, LOCAL_TENANT)
            return create_key(session, tenant_id, "embedded stack", [Scope.ADMIN])
    finally:
        engine.dispose()
