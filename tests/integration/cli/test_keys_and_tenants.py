"""`detector keys` and `detector tenants`, straight in a real database."""

import json
from collections.abc import Callable
from uuid import uuid4

import pytest
from click.testing import Result
from sqlalchemy import text
from typer.testing import CliRunner

from services.cli.keys import app as keys_app
from services.cli.tenants import app as tenants_app
from shared.contracts.scopes import Scope
from shared.db.tenants.keys import authenticate

Run = Callable[..., Result]


@pytest.fixture
def run(servers, monkeypatch) -> Run:
    monkeypatch.setenv("DETECTOR_DATABASE_URL", servers.database_url)
    apps = {"keys": keys_app, "tenants": tenants_app}
    return lambda group, *arguments: CliRunner().invoke(apps[group], arguments)


def _made(run: Run, *options: str) -> dict:
    made = run("keys", "create", "--tenant", "shop", "--name", "ci", "--json", *options)
    assert made.exit_code == 0, made.output
    return json.loads(made.stdout)


def _works(sessions, key: str) -> bool:
    with sessions.begin() as session:
        return authenticate(session, key) is not None


def test_a_rotated_key_ends_after_its_grace(run, sessions):
    old = _made(run)
    rotated = run("keys", "rotate", old["id"], "--grace-hours", "1", "--json")
    assert rotated.exit_code == 0, rotated.output
    new = json.loads(rotated.stdout)
    assert (new["tenant"], new["name"], new["scopes"]) == ("shop", "ci", old["scopes"])
    assert _works(sessions, old["key"])
    assert _works(sessions, new["key"])
    with sessions.begin() as session:
        session.execute(text("UPDATE api_keys SET expires_at = expires_at - interval '1 h'"))
    assert not _works(sessions, old["key"])
    assert _works(sessions, new["key"])
    again = run("keys", "rotate", old["id"])
    assert again.exit_code == 1
    assert "no active key" in again.stderr


def test_a_key_for_some_days_is_listed_with_its_end(run, sessions):
    made = _made(run, "--days", "2", "--scope", "jobs:read")
    assert made["expires_at"] is not None
    assert _works(sessions, made["key"])
    ended = _made(run, "--days", "0")
    assert not _works(sessions, ended["key"])
    listed = [json.loads(line) for line in run("keys", "list", "--json").stdout.splitlines()]
    assert [(entry["scopes"], entry["expired"]) for entry in listed] == [
        (["jobs:read"], False),
        (["jobs:write", "jobs:read"], True),
    ]
    table = run("keys", "list").stdout
    assert "expires" in table
    assert made["key"] not in table


def test_every_scope_is_explained(run):
    shown = run("keys", "scopes").stdout
    for scope in Scope:
        assert scope.value in shown


def test_tenants_limits_are_set_shown_and_taken_back(run):
    _made(run)
    done = run("tenants", "limit", "shop", "--requests-per-minute", "60", "--open-images", "0")
    assert done.exit_code == 0, done.output

    def listed() -> dict:
        (line,) = run("tenants", "list", "--json").stdout.splitlines()
        return json.loads(line)

    assert (listed()["requests_per_minute"], listed()["max_open_images"]) == (60, 0)
    assert "60" in run("tenants", "list").stdout
    assert run("tenants", "limit", "shop", "--requests-per-minute", "default").exit_code == 0
    assert (listed()["requests_per_minute"], listed()["max_open_images"]) == (None, 0)


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["shop"], 2),
        (["shop", "--open-images", "many"], 2),
        (["shop", "--open-images", "99999999999"], 2),
        (["nobody", "--open-images", "1"], 1),
    ],
)
def test_improper_limits_change_nothing(run, arguments, code):
    assert run("tenants", "limit", *arguments).exit_code == code


def test_an_unknown_key_cannot_be_rotated(run):
    assert run("keys", "rotate", str(uuid4())).exit_code == 1
