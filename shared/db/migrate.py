"""Migrations as functions, for the CLI, the embedded stack and the tests."""

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine

from shared.core.settings import REPOSITORY_ROOT


def alembic_config(database_url: str) -> Config:
    """Return Alembic's configuration for `database_url`."""
    config = Config()
    config.set_main_option("script_location", str(REPOSITORY_ROOT / "migrations"))
    config.attributes["database_url"] = database_url
    return config


def upgrade(database_url: str, revision: str = "head") -> None:
    """Bring the schema to `revision`; safe to run from several processes at once."""
    command.upgrade(alembic_config(database_url), revision)


def revisions(database_url: str) -> tuple[str | None, str | None]:
    """Return (revision of the database, newest revision of the code)."""
    engine = create_engine(database_url, connect_args={"connect_timeout": 5})
    try:
        with engine.connect() as connection:
            current = MigrationContext.configure(connection).get_current_revision()
    finally:
        engine.dispose()
    head = ScriptDirectory.from_config(alembic_config(database_url)).get_current_head()
    return current, head
