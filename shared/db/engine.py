"""Engines and sessions. Nothing connects before the first query."""

from typing import Any

from sqlalchemy import Engine, create_engine
from sqlalchemy.orm import Session, sessionmaker

SessionFactory = sessionmaker[Session]


def make_engine(database_url: str, pool_size: int = 10, application: str = "detector") -> Engine:
    """Return a pooled engine for `database_url` (`postgresql+psycopg://…`).

    A dead connection is noticed before use (`pool_pre_ping`), a hung server after
    `tcp_user_timeout`; no statement runs longer than 30 s. A frozen process loses its transaction,
    and with it its locks, after 20 s: longer than any transaction here waits for the broker.
    """
    connect_args: dict[str, Any] = {
        "application_name": application,
        "connect_timeout": 5,
        "keepalives_idle": 10,
        "tcp_user_timeout": 15_000,
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


def make_session_factory(engine: Engine) -> SessionFactory:
    """Return a session factory; rows stay readable after commit."""
    return sessionmaker(engine, expire_on_commit=False)
