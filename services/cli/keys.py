"""`detector keys`: API keys, straight in the database."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

import typer

from services.cli.output import fail, new_app, print_json, print_table, say
from services.cli.servers import database_session
from shared.contracts.scopes import DEFAULT_SCOPES, Scope

app = new_app("Create, list and revoke API keys.")

_SCOPES = ", ".join(scope.value for scope in Scope)


@app.command()
def create(
    tenant: Annotated[str, typer.Option(help="Whose key it is; made when new.")],
    name: Annotated[str, typer.Option(help="What the key is for, shown in listings.")],
    scope: Annotated[
        list[Scope] | None,
        typer.Option(help="What it may do; repeatable [jobs:write, jobs:read]."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Create a key and print it: it is stored hashed and cannot be shown again."""
    from shared.db.keys import create_key, get_or_create_tenant

    if not tenant.strip() or not name.strip():
        fail("--tenant and --name must not be empty.")
    scopes = list(dict.fromkeys(scope or DEFAULT_SCOPES))
    with database_session() as session:
        key = create_key(session, get_or_create_tenant(session, tenant), name, scopes)
    if as_json:
        print_json({"key": key, "tenant": tenant, "name": name, "scopes": list(scopes)})
    else:
        print(key)
        say(f"Key for tenant {tenant}, may {', '.join(scopes)}. It is not shown again.")


@app.command("list")
def list_(
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object a line.")] = False,
) -> None:
    """List every key, oldest first."""
    from dataclasses import asdict

    from shared.db.keys import list_keys

    with database_session() as session:
        keys = list_keys(session)
    if as_json:
        for info in keys:
            print_json(
                {field: _plain(value) for field, value in asdict(info).items()},
            )
        return
    print_table(
        ["id", "tenant", "name", "starts with", "scopes", "created", "last used", "revoked"],
        (
            [
                (str(info.id), ""),
                (info.tenant, ""),
                (info.name, ""),
                (info.prefix + "…", "dim"),
                (", ".join(info.scopes), ""),
                (_moment(info.created_at), ""),
                (_moment(info.last_used_at), ""),
                (_moment(info.revoked_at), "red"),
            ]
            for info in keys
        ),
    )


@app.command()
def revoke(
    key_id: Annotated[UUID, typer.Argument(metavar="ID", help="The key's id, from `keys list`.")],
) -> None:
    """Refuse a key from now on."""
    from shared.db.keys import revoke_key

    with database_session() as session:
        revoked = revoke_key(session, key_id)
    if not revoked:
        fail(f"no active key has the id {key_id}; see `detector keys list`.", code=1)
    say(f"Key {key_id} is revoked.")


def _moment(moment: datetime | None) -> str:
    return f"{moment:%Y-%m-%d %H:%M}" if moment else ""


def _plain(value: object) -> object:
    if isinstance(value, datetime):
        return value.isoformat()
    return str(value) if isinstance(value, UUID) else value
