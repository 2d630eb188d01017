"""Where the three servers are, for the commands that speak to them directly.

Taken from `DETECTOR_*` of the environment, else from `servers.env`, which the embedded stack
writes into its directory.
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

from services.cli.output import fail
from shared.client.config import read_env_file
from shared.core.settings import local_dir

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

SERVERS_ENV_FILE = "servers.env"


def server_settings(environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return every `DETECTOR_*` variable known here; the environment goes before the file."""
    environ = os.environ if environ is None else environ
    written = read_env_file(local_dir() / SERVERS_ENV_FILE)
    given = {name: value for name, value in environ.items() if value}
    return {
        name: value for name, value in {**written, **given}.items() if name.startswith("DETECTOR_")
    }


def database_url() -> str:
    """Return the database's URL; exits with 2 when none is known."""
    url = server_settings().get("DETECTOR_DATABASE_URL")
    if not url:
        fail(
            "no database is known. Run `make up`, which starts one, or set"
            " DETECTOR_DATABASE_URL to postgresql+psycopg://user:password@host:port/database."
        )
    return url


def masked(url: str) -> str:
    """Return `url` without its password."""
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        return make_url(url).render_as_string(hide_password=True)
    except ArgumentError:
        return "(not a database URL)"


@contextmanager
def database_errors(url: str) -> Iterator[None]:
    """Turn a database that is away or not migrated into exit code 2 and what to do."""
    from sqlalchemy.exc import ArgumentError, OperationalError, ProgrammingError

    try:
        yield
    except ArgumentError:
        fail(
            "DETECTOR_DATABASE_URL has the wrong form; it is"
            " postgresql+psycopg://user:password@host:port/database."
        )
    except OperationalError as error:
        reason = " ".join(str(error.orig).split())
        fail(
            f"the database {masked(url)} does not answer: {reason}."
            " Start it (`make up`), or correct DETECTOR_DATABASE_URL."
        )
    except ProgrammingError as error:
        if getattr(error.orig, "sqlstate", None) != "42P01":  # undefined_table
            raise
        fail(f"the database {masked(url)} has no tables yet. Run `detector db upgrade`.")


@contextmanager
def database_session() -> Iterator["Session"]:
    """Open one transaction, committed at the end of the block."""
    from sqlalchemy.orm import Session

    from shared.db.engine import make_engine

    url = database_url()
    with database_errors(url):
        engine = make_engine(url, pool_size=1, application="detector-cli")
        try:
            with Session(engine) as session, session.begin():
                yield session
        finally:
            engine.dispose()
