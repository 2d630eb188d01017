"""`detector webhooks`: receivers of events, and what became of their deliveries."""

import time
from itertools import islice
from typing import TYPE_CHECKING, Annotated, Literal
from uuid import UUID

import typer

from services.cli.client import AsJson, AsJsonLines, Limit, gateway_client, request_of
from services.cli.output import fail, new_app, print_models, say
from services.cli.times import parse_moment, shown
from services.cli.webhooks.tables import print_deliveries, print_webhooks
from shared.contracts.events import DeliveryStatus, EventType

if TYPE_CHECKING:
    from shared.client.http import DetectorClient
    from shared.client.webhooks import WebhookRef
    from shared.contracts.wire.webhooks import Delivery, Webhook, WebhookSecrets

app = new_app("Register webhooks, follow their deliveries, send them again.")

_POLL_SECONDS = 0.3

WebhookId = Annotated[UUID, typer.Argument(metavar="ID", help="The webhook's id.")]
Ref = Annotated[
    str,
    typer.Argument(
        metavar="ID", help="The webhook's id, or `default` for the one behind jobs' webhook_url."
    ),
]
DeliveryId = Annotated[
    UUID, typer.Argument(metavar="DELIVERY", help="The delivery's id, from `deliveries`.")
]
Events = Annotated[
    list[EventType] | None,
    typer.Option("--event", help="Event type that it wants; repeat it for several."),
]
Wait = Annotated[float, typer.Option(min=0, help="Seconds to wait for the receiver's answer.")]


@app.callback()
def _group() -> None:
    """Register webhooks, follow their deliveries, send them again."""


@app.command("list")
def list_(as_json: AsJsonLines = False) -> None:
    """List every webhook, oldest first."""
    with gateway_client() as client:
        found = client.webhooks.list()
    if as_json:
        print_models(*found)
        return
    print_webhooks(found)


@app.command()
def create(
    url: Annotated[str, typer.Argument(metavar="URL", help="http(s) URL of the receiver.")],
    event: Events = None,
    description: Annotated[str | None, typer.Option(help="A note of your own.")] = None,
    as_json: AsJson = False,
) -> None:
    """Register a receiver, of all events by default, and print its id."""
    from shared.contracts.wire.webhooks import NewWebhook

    new = request_of(NewWebhook, url=url, events=event or None, description=description)
    with gateway_client() as client:
        created = client.webhooks.create(new)
    if as_json:
        print_models(created)
        return
    print(created.id)
    # Not printed: the secret would stay in the terminal's history.
    say(f"what signs its deliveries: detector webhooks secret {created.id}")


@app.command()
def get(webhook: Ref, as_json: AsJson = False) -> None:
    """Print a webhook as it stands."""
    with gateway_client() as client:
        found = client.webhooks.get(_ref(webhook))
    _print_one(found, as_json)


@app.command()
def update(
    webhook_id: WebhookId,
    url: Annotated[str | None, typer.Option(help="Where events go from now on.")] = None,
    event: Events = None,
    all_events: Annotated[bool, typer.Option("--all-events", help="Want every type.")] = False,
    description: Annotated[str | None, typer.Option(help="A note of your own.")] = None,
    status: Annotated[
        Literal["enabled", "disabled"] | None,
        typer.Option(help="A disabled one gets nothing; `recover` sends it later."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Change what is given; the rest stays."""
    from shared.contracts.wire.webhooks import WebhookChanges

    if event and all_events:
        fail("--event and --all-events exclude each other.")
    # The command line gives an empty list for none: only --all-events means every type.
    events = [] if all_events else event or None
    changes = request_of(
        WebhookChanges, url=url, events=events, description=description, status=status
    )
    if not changes.model_fields_set:
        fail("give what to change; see `detector webhooks update --help`.")
    with gateway_client() as client:
        changed = client.webhooks.change(webhook_id, changes)
    _print_one(changed, as_json)


@app.command()
def delete(webhook_id: WebhookId) -> None:
    """Remove a webhook with its secrets and its delivery log."""
    with gateway_client() as client:
        client.webhooks.delete(webhook_id)
    say(f"webhook {webhook_id} is deleted.")


@app.command()
def secret(webhook: Ref, as_json: AsJson = False) -> None:
    """Print the secret that signs deliveries; receivers verify with it."""
    with gateway_client() as client:
        secrets = client.webhooks.secret(_ref(webhook))
    _print_secrets(secrets, as_json)


@app.command()
def rotate(
    webhook: Ref,
    grace_hours: Annotated[
        float, typer.Option(min=0, max=168, help="How long the old secret signs as well.")
    ] = 24.0,
    as_json: AsJson = False,
) -> None:
    """Make a new signing secret and print it."""
    from shared.contracts.wire.webhooks import Rotation

    rotation = request_of(Rotation, grace_seconds=round(grace_hours * 3600))
    with gateway_client() as client:
        secrets = client.webhooks.rotate(_ref(webhook), rotation)
    _print_secrets(secrets, as_json)


@app.command("test")
def send_test(webhook_id: WebhookId, wait: Wait = 10, as_json: AsJson = False) -> None:
    """Send a test event to this webhook alone.

    Exit code 1 when it is not received within --wait; it is tried again after that.
    """
    with gateway_client() as client:
        delivery = client.webhooks.test(webhook_id)
        _report(_after_attempt(client, webhook_id, delivery, wait), wait, as_json)


@app.command()
def deliveries(
    webhook: Ref,
    status: Annotated[DeliveryStatus | None, typer.Option(help="Only these.")] = None,
    limit: Limit = 20,
    as_json: AsJsonLines = False,
) -> None:
    """List deliveries, the newest first."""
    with gateway_client() as client:
        page = min(limit, 100)
        log = client.webhooks.deliveries(_ref(webhook), status=status, page_size=page)
        found = list(islice(log, limit))
    if as_json:
        print_models(*found)
        return
    print_deliveries(found)


@app.command()
def delivery(webhook: Ref, delivery_id: DeliveryId) -> None:
    """Print one delivery as JSON, with its body and every attempt."""
    with gateway_client() as client:
        detail = client.webhooks.delivery(_ref(webhook), delivery_id)
    print_models(detail)


@app.command()
def replay(webhook: Ref, delivery_id: DeliveryId, wait: Wait = 10, as_json: AsJson = False) -> None:
    """Send one delivery again, whatever became of it; exit codes as of `test`."""
    ref = _ref(webhook)
    with gateway_client() as client:
        again = client.webhooks.replay(ref, delivery_id)
        _report(_after_attempt(client, ref, again, wait), wait, as_json)


@app.command()
def recover(
    webhook: Ref,
    since: Annotated[
        str, typer.Option(metavar="TIME", help="Begin of the window, as 2026-11-23T08:00Z.")
    ],
    until: Annotated[str | None, typer.Option(metavar="TIME", help="Its end [now].")] = None,
) -> None:
    """Send every event of a window that the webhook wants and has not received."""
    from shared.contracts.wire.webhooks import Recovery

    begin, end = parse_moment(since, "--since"), parse_moment(until, "--until")
    window = request_of(Recovery, since=begin, until=end)
    with gateway_client() as client:
        recovered = client.webhooks.recover(_ref(webhook), window)
    say(f"{recovered.deliveries} deliveries are on their way.")


def _ref(text: str) -> "WebhookRef":
    if text == "default":
        return "default"
    try:
        return UUID(text)
    except ValueError:
        fail(f"{text!r} is neither a webhook's id nor `default`.")


def _after_attempt(
    client: "DetectorClient", ref: "WebhookRef", queued: "Delivery", seconds: float
) -> "Delivery":
    """Return the delivery once its schedule has had an attempt, or as it is after `seconds`."""
    deadline = time.monotonic() + seconds
    latest = queued
    while not latest.attempts and latest.status is DeliveryStatus.PENDING:
        if time.monotonic() >= deadline:
            break
        time.sleep(_POLL_SECONDS)
        latest = client.webhooks.delivery(ref, queued.id)
    return latest


def _report(delivery: "Delivery", waited: float, as_json: bool) -> None:
    if as_json:
        print_models(delivery)
    else:
        print_deliveries([delivery])
    if delivery.status is DeliveryStatus.SUCCEEDED:
        return
    if not delivery.attempts:
        say(f"nothing was attempted within {waited:g} s; is the webhooks service running?")
    elif delivery.last_attempt and delivery.last_attempt.error:
        say(f"not received: {delivery.last_attempt.error}")
    raise typer.Exit(1)


def _print_one(webhook: "Webhook", as_json: bool) -> None:
    if as_json:
        print_models(webhook)
    else:
        print_webhooks([webhook])


def _print_secrets(secrets: "WebhookSecrets", as_json: bool) -> None:
    if as_json:
        print_models(secrets)
        return
    print(secrets.secret)
    for previous in secrets.previous:
        say(f"another one signs as well until {shown(previous.expires_at)} UTC")
