"""Keys: who they belong to, until when they are taken, how they are replaced."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from shared.contracts.scopes import Scope
from shared.db.engine import SessionFactory
from shared.db.tenants import keys


@pytest.fixture
def tenant(sessions: SessionFactory):
    with sessions.begin() as session:
        return keys.get_or_create_tenant(session, "acme")


@pytest.fixture
def rival(sessions: SessionFactory):
    with sessions.begin() as session:
        return keys.get_or_create_tenant(session, "rival")


def _issue(sessions, tenant, expires_at=None) -> keys.IssuedKey:
    with sessions.begin() as session:
        return keys.issue_key(session, tenant, "ci", [Scope.JOBS_READ], expires_at)


def _principal(sessions, key):
    with sessions.begin() as session:
        return keys.authenticate(session, key)


def _in(**passing: float) -> datetime:
    return datetime.now(UTC) + timedelta(**passing)


def test_key_is_taken_until_it_expires(sessions, tenant):
    later, passed = _issue(sessions, tenant, _in(hours=1)), _issue(sessions, tenant, _in(hours=-1))
    assert _principal(sessions, later.key).tenant_id == tenant
    assert _principal(sessions, passed.key) is None
    assert (later.info.expired, passed.info.expired) == (False, True)


def test_principal_carries_the_limits_of_its_tenant(sessions, tenant):
    issued = _issue(sessions, tenant)
    with sessions.begin() as session:
        session.execute(text("UPDATE tenants SET requests_per_minute = 7, max_open_images = 0"))
    principal = _principal(sessions, issued.key)
    assert (principal.requests_per_minute, principal.max_open_images) == (7, 0)


def test_rotated_key_works_for_its_grace_and_its_successor_at_once(sessions, tenant):
    old = _issue(sessions, tenant)
    with sessions.begin() as session:
        new = keys.rotate_key(session, old.info.id, timedelta(seconds=60), tenant)
    assert new.key != old.key
    assert (new.info.name, new.info.scopes) == (old.info.name, old.info.scopes)
    assert new.info.expires_at is None
    assert _principal(sessions, old.key) is not None
    with sessions.begin() as session:
        session.execute(text("UPDATE api_keys SET expires_at = expires_at - interval '61 s'"))
    assert _principal(sessions, old.key) is None
    assert _principal(sessions, new.key).key_id == new.info.id


def test_rotation_without_grace_ends_the_old_key_at_once(sessions, tenant):
    old = _issue(sessions, tenant)
    with sessions.begin() as session:
        assert keys.rotate_key(session, old.info.id, timedelta(0))
    assert _principal(sessions, old.key) is None


def test_rotation_extends_nothing(sessions, tenant):
    soon = _in(minutes=5)
    old = _issue(sessions, tenant, soon)
    with sessions.begin() as session:
        new = keys.rotate_key(session, old.info.id, timedelta(days=1))
        again = keys.get_key(session, tenant, old.info.id)
    assert again.expires_at == new.info.expires_at == soon


def test_only_active_keys_rotate(sessions, tenant):
    revoked, expired = _issue(sessions, tenant), _issue(sessions, tenant, _in(seconds=-1))
    with sessions.begin() as session:
        assert keys.revoke_key(session, revoked.info.id)
        for issued in (revoked, expired):
            assert keys.rotate_key(session, issued.info.id, timedelta(0)) is None


def test_keys_of_another_tenant_do_not_exist(sessions, tenant, rival):
    key_id = _issue(sessions, tenant).info.id
    with sessions.begin() as session:
        assert keys.get_key(session, rival, key_id) is None
        assert keys.list_keys(session, rival) == []
        assert not keys.revoke_key(session, key_id, rival)
        assert keys.rotate_key(session, key_id, timedelta(0), rival) is None
        assert keys.get_key(session, tenant, key_id).revoked_at is None
        assert keys.revoke_key(session, key_id, tenant)


def test_listing_can_leave_out_what_is_refused(sessions, tenant):
    issued = [_issue(sessions, tenant), _issue(sessions, tenant), _issue(sessions, tenant, _in())]
    with sessions.begin() as session:
        keys.revoke_key(session, issued[0].info.id)
        assert [info.id for info in keys.list_keys(session)] == [each.info.id for each in issued]
        assert [info.id for info in keys.list_keys(session, tenant, active_only=True)] == [
            issued[1].info.id
        ]
