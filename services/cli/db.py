"""`detector db`: the database's schema."""

from typing import Annotated

import typer

from services.cli.output import new_app, print_json, say
from services.cli.servers import database_errors, database_url, masked

app = new_app("Migrate the database.")


@app.command()
def upgrade(
    revision: Annotated[str, typer.Argument(help="Where to stop.")] = "head",
) -> None:
    """Bring the schema to the newest revision; safe to run at any time."""
    from shared.db import migrate

    url = database_url()
    with database_errors(url):
        before, _head = migrate.revisions(url)
        migrate.upgrade(url, revision)
        after, _head = migrate.revisions(url)
    say(
        f"{masked(url)} is at {after} already."
        if before == after
        else f"{masked(url)} went from {before or 'empty'} to {after}."
    )


@app.command()
def status(
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Compare the database's revision with the code's; exit code 1 when they differ."""
    from shared.db import migrate

    url = database_url()
    with database_errors(url):
        current, head = migrate.revisions(url)
    if as_json:
        print_json({"database": masked(url), "revision": current, "newest": head})
    else:
        print(f"database  {masked(url)}\nrevision  {current or 'empty'}\nnewest    {head}")
    if current != head:
        say("Run `detector db upgrade`.")
        raise typer.Exit(1)
