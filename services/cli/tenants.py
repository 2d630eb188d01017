"""`detector tenants`: who uses the detector and how much, straight in the database."""

from typing import Annotated

import typer

from services.cli.client import AsJsonLines
from services.cli.output import fail, new_app, print_json, print_table, say
from services.cli.servers import database_session

app = new_app("List tenants and set their limits.")

_DEFAULT = "default"
_LIMIT_HELP = "A number, 0 for no limit, or `default` for the gateway's setting."


@app.command("list")
def list_(as_json: AsJsonLines = False) -> None:
    """List every tenant with its limits and the photos that wait, oldest first."""
    from shared.db.tenants.limits import list_tenants

    with database_session() as session:
        tenants = list_tenants(session)
    if as_json:
        for info in tenants:
            print_json(
                {
                    "id": str(info.id),
                    "name": info.name,
                    "requests_per_minute": info.requests_per_minute,
                    "max_open_images": info.max_open_images,
                    "open_images": info.open_images,
                    "created_at": info.created_at.isoformat(),
                }
            )
        return
    print_table(
        ["id", "name", "requests/min", "max waiting", "waiting", "created"],
        (
            [
                (str(info.id), ""),
                (info.name, ""),
                (_shown(info.requests_per_minute), ""),
                (_shown(info.max_open_images), ""),
                (str(info.open_images), ""),
                (f"{info.created_at:%Y-%m-%d %H:%M}", ""),
            ]
            for info in tenants
        ),
        right=["requests/min", "max waiting", "waiting"],
    )


@app.command()
def limit(
    name: Annotated[str, typer.Argument(help="The tenant's name, from `tenants list`.")],
    requests_per_minute: Annotated[
        str | None, typer.Option(metavar="N", help=f"Requests per minute. {_LIMIT_HELP}")
    ] = None,
    open_images: Annotated[
        str | None, typer.Option(metavar="N", help=f"Photos that may wait. {_LIMIT_HELP}")
    ] = None,
) -> None:
    """Set a tenant's limits; they hold from its next request on."""
    from shared.db.tenants.limits import LimitName, set_limits

    limits: dict[LimitName, int | None] = {}
    if requests_per_minute is not None:
        limits["requests_per_minute"] = _number(requests_per_minute, "--requests-per-minute")
    if open_images is not None:
        limits["max_open_images"] = _number(open_images, "--open-images")
    if not limits:
        fail("give --requests-per-minute or --open-images.")
    with database_session() as session:
        changed = set_limits(session, name, limits)
    if not changed:
        fail(f"no tenant is called {name!r}; see `detector tenants list`.", code=1)
    said = ", ".join(f"{what} {_shown(value)}" for what, value in limits.items())
    say(f"Tenant {name}: {said}.")


def _shown(value: int | None) -> str:
    return _DEFAULT if value is None else "none" if value == 0 else str(value)


def _number(text: str, option: str) -> int | None:
    if text == _DEFAULT:
        return None
    # As many as the column holds.
    if not text.isascii() or not text.isdecimal() or int(text) > 2**31 - 1:
        fail(f"{option} takes a number, 0 for no limit, or `default`; not {text!r}.")
    return int(text)
