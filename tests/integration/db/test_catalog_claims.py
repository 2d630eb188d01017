"""Whose turn a catalog is, and the one that ends whoever reads it."""

from uuid import UUID

import pytest
from sqlalchemy import text

from shared.core.ids import new_id
from shared.db.catalogs import reading
from shared.db.catalogs.reading import ReadPage, ReadRow
from shared.db.models import Catalog
from shared.db.tenants import keys


@pytest.fixture
def add(sessions):
    def insert() -> UUID:
        with sessions.begin() as session:
            tenant = keys.get_or_create_tenant(session, "acme")
            catalog = Catalog(
                id=new_id(), tenant_id=tenant, format="csv", manifest_key="m", request_id="r"
            )
            session.add(catalog)
            return catalog.id

    return insert


@pytest.fixture
def claim(sessions):
    def take():
        with sessions.begin() as session:
            found = reading.claim(session, 30)
            return found and (found[0].id, found[0].crashes, found[1])

    return take


@pytest.fixture
def die(sessions):
    def expire():
        with sessions.begin() as session:
            session.execute(
                text(
                    "UPDATE catalogs SET lease_expires_at = now() - interval '1 s'"
                    " WHERE lease_id IS NOT NULL"
                )
            )

    return expire


def test_readers_that_died_are_counted_until_a_page_is_written(add, claim, die, sessions):
    catalog_id = add()
    assert claim()[:2] == (catalog_id, 0)
    for crashes in (1, 2):
        die()
        found, counted, lease_id = claim()
        assert (found, counted) == (catalog_id, crashes)
    page = ReadPage([ReadRow(1, "x", error_code="invalid_row", error_detail="no\x00")], {}, False)
    with sessions.begin() as session:
        catalog = session.get_one(Catalog, catalog_id)
        reading.write_page(session, catalog, lease_id, page)
    die()
    assert claim()[1] == 1


def test_a_catalog_that_was_given_back_has_not_crashed(add, claim, sessions):
    catalog_id = add()
    for _ in range(3):
        _, crashes, lease_id = claim()
        assert crashes == 0
        with sessions.begin() as session:
            reading.release(session, catalog_id, lease_id)


def test_of_suspects_one_is_read_at_a_time_and_others_go_on(add, claim, die):
    add(), add()
    assert {claim()[1], claim()[1]} == {0}
    die()
    assert claim()[1] == 1
    assert claim() is None
    fresh = add()
    assert claim()[0] == fresh
