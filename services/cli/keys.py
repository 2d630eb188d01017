"""`detector keys`: API keys, straight in the database."""

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import typer

from services.cli.client import AsJsonLines
from services.cli.output import fail, new_app, print_json, print_table, say
from services.cli.servers import database_session
from shared.contracts.scopes import DEFAULT_SCOPES, SCOPE_HELP, Scope

if TYPE_CHECKING:
    from shared.db.tenants.keys import IssuedKey, KeyInfo

app = new_app("Create, list, rotate and revoke API keys.")

_SCOPES = ", ".join(scope.value for scope in Scope)


@app.command()
def create(
    tenant: Annotated[str, typer.Option(help="Whose key it is; made when new.")],
    name: Annotated[str, typer.Option(help="What the key is for, shown in listings.")],
    scope: Annotated[
        list[Scope] | None,
        typer.Option(help="What it may do; repeatable [jobs:write, jobs:read]."),
    ] = None,
    days: Annotated[
        float | None, typer.Option(min=0, help="Refuse it after so many days [never].")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Create a key and print it: it is stored hashed and cannot be shown again."""
    from shared.db.tenants.keys import get_or_create_tenant, issue_key

    if not tenant.strip() or not name.strip():
        fail("--tenant and --name must not be empty.")
    scopes = list(dict.fromkeys(scope or DEFAULT_SCOPES))
    expires_at = None if days is None else datetime.now(UTC) + timedelta(days=days)
    with database_session() as session:
        tenant_id = get_or_create_tenant(session, tenant)
        issued = issue_key(session, tenant_id, name, scopes, expires_at)
    _print_issued(issued, as_json)
    if not scope and not as_json:
        say("For catalogs, webhooks or administration give --scope; see `detector keys scopes`.")


def _print_issued(issued: "IssuedKey", as_json: bool) -> None:
    info = issued.info
    if as_json:
        print_json({"key": issued.key, **_fields(info)})
        return
    print(issued.key)
    until = f", until {_moment(info.expires_at)} UTC" if info.expires_at else ""
    say(
        f"Key {info.id} for tenant {info.tenant}, may {', '.join(info.scopes)}{until}."
        " It is not shown again."
    )


@app.command("list")
def list_(
    as_json: AsJsonLines = False,
) -> None:
    """List every key, oldest first."""
    from shared.db.tenants.keys import list_keys

    with database_session() as session:
        keys = list_keys(session)
    if as_json:
        for info in keys:
            print_json(_fields(info))
        return
    print_table(
        [
            "id",
            "tenant",
            "name",
            "starts with",
            "scopes",
            "created",
            "last used",
            "expires",
            "revoked",
        ],
        (
            [
                (str(info.id), ""),
                (info.tenant, ""),
                (info.name, ""),
                (info.prefix + "…", "dim"),
                (", ".join(info.scopes), ""),
                (_moment(info.created_at), ""),
                (_moment(info.last_used_at), ""),
                (_moment(info.expires_at), "red" if info.expired else ""),
                (_moment(info.revoked_at), "red"),
            ]
            for info in keys
        ),
    )


@app.command()
def rotate(
    key_id: Annotated[UUID, typer.Argument(metavar="ID", help="The key's id, from `keys list`.")],
    grace_hours: Annotated[
        float, typer.Option(min=0, help="How long the old key is still accepted.")
    ] = 24.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Print a successor with the same name, scopes and end; the old key ends after the grace."""
    from shared.db.tenants.keys import rotate_key

    with database_session() as session:
        issued = rotate_key(session, key_id, timedelta(hours=grace_hours))
    if issued is None:
        fail(f"no active key has the id {key_id}; see `detector keys list`.", code=1)
    _print_issued(issued, as_json)


@app.command()
def scopes() -> None:
    """List the scopes that a key can carry."""
    print_table(["scope", "may"], ([(scope, ""), (SCOPE_HELP[scope], "")] for scope in Scope))


@app.command()
def revoke(
    key_id: Annotated[UUID, typer.Argument(metavar="ID", help="The key's id, from `keys list`.")],
) -> None:
    """Refuse a key from now on."""
    from shared.db.tenants.keys import revoke_key

    with database_session() as session:
        revoked = revoke_key(session, key_id)
    if not revoked:
        fail(f"no active key has the id {key_id}; see `detector keys list`.", code=1)
    say(f"Key {key_id} is revoked.")


def _moment(moment: datetime | None) -> str:
    return f"{moment:%Y-%m-%d %H:%M}" if moment else ""


def _fields(info: "KeyInfo") -> dict[str, object]:
    from dataclasses import asdict

    return {field: _plain(value) for field, value in asdict(info).items()}


def _plain(value: object) -> object:
    if isinstance(value, datetime):
        return value.isoformat()
    return str(value) if isinstance(value, UUID) else value
