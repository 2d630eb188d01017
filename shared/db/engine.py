"""Engines and sessions. Nothing connects before the first query."""

from typing import Any

from psycopg.conninfo import make_conninfo
from sqlalchemy import Engine, create_engine, make_url
from sqlalchemy.orm import Session, sessionmaker

SessionFactory = sessionmaker[Session]

# A dead server is noticed: seconds to connect, until the first probe, and milliseconds without ack.
_ALIVE: dict[str, Any] = {
    "connect_timeout": 5,
    "keepalives_idle": 10,
    "tcp_user_timeout": 15_000,
}


def make_engine(database_url: str, pool_size: int = 10, application: str = "detector") -> Engine:
    """Return a pooled engine for `database_url` (`postgresql+psycopg://…`).

    A dead connection is noticed before use (`pool_pre_ping`), a hung server after
    `tcp_user_timeout`; no statement runs longer than 30 s. A frozen process loses its transaction,
    and with it its locks, after 20 s: longer than any transaction here waits for the broker.
    """
    connect_args: dict[str, Any] = {
        "application_name": application,
        **_ALIVE,
        "options": "-c statement_timeout=30000 -c lock_timeout=10000"
        " -c idle_in_transaction_session_timeout=20000 -c timezone=UTC",
    }
    return create_engine(
        database_url,
        pool_size=pool_size,
        max_overflow=pool_size,
        pool_timeout=10,
        pool_pre_ping=True,
        # Errors are logged; the rows they speak of are the tenant's own.
        hide_parameters=True,
        connect_args=connect_args,
    )


def listener_conninfo(database_url: str, application: str) -> str:
    """Return what psycopg connects with to LISTEN: a connection of its own, outside of any pool."""
    # libpq knows no SQLAlchemy driver name.
    url = make_url(database_url).set(drivername="postgresql")
    text = url.render_as_string(hide_password=False)
    return make_conninfo(text, application_name=application, **_ALIVE)


def make_session_factory(engine: Engine) -> SessionFactory:
    """Return a session factory; rows stay readable after commit."""
    return sessionmaker(engine, expire_on_commit=False)
