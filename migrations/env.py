"""Alembic environment: one transaction per migration, an advisory lock, and short lock waits."""

from alembic import context
from sqlalchemy import create_engine, pool, text

from shared.core.settings import BaseAppSettings, load_settings
from shared.db.models import Base

# Any constant: two deployments migrating at once wait for each other on it.
ADVISORY_LOCK = 7_160_325_481


def _database_url() -> str:
    url = context.config.attributes.get("database_url")
    if isinstance(url, str):
        return url
    return load_settings(BaseAppSettings).database_url.get_secret_value()


def run_migrations() -> None:
    """Upgrade over a connection of its own."""
    engine = create_engine(_database_url(), poolclass=pool.NullPool)
    with engine.connect() as connection:
        # A migration that waits for a lock holds up every query behind it: give up early instead.
        connection.execute(text("SET lock_timeout = '5s'"))
        connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": ADVISORY_LOCK})
        connection.commit()
        context.configure(
            connection=connection,
            target_metadata=Base.metadata,
            transaction_per_migration=True,
            compare_server_default=True,
        )
        with context.begin_transaction():
            context.run_migrations()
        connection.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": ADVISORY_LOCK})
        connection.commit()
    engine.dispose()


run_migrations()
