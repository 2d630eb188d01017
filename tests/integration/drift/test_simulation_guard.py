"""A rehearsal's photos that a real model judged are none of its traffic."""

from datetime import timedelta
from types import SimpleNamespace

import pytest

from services.drift.analysis.counts import build_cube
from services.drift.study.traffic import CATEGORIES, moment
from shared.contracts.drift import SIMULATION
from shared.core.ids import new_id
from shared.db.drift.counts import (
    Binning,
    Calibration,
    Span,
    count_verdicts,
    find_categories,
    find_edges,
)
from shared.db.drift.runs import first_unchecked, photos_by_slot
from shared.db.drift.samples import find_examples, sample_embeddings
from shared.db.drift.synthetic import SyntheticPhoto, insert_synthetic
from shared.db.models import Tenant

START, END = moment(0), moment(2)
REAL, OWN = "1.0.0", f"{SIMULATION}-generator-20260101T000000Z"
# Customers' photos begin half an hour later and score lower than the rehearsal's.
CUSTOMERS, REHEARSED = 30, 20


def photos(number, at, logit, category):
    return [
        SyntheticPhoto(
            at=at + timedelta(seconds=place),
            job=place,
            label="real",
            probability=0.5,
            logit=logit + place / 1000,
            category=category,
            embedding=[0.0, 1.0],
        )
        for place in range(number)
    ]


@pytest.fixture
def tenants(sessions):
    """A customer and the rehearsal's tenant, whose photos both model versions judged."""
    found = SimpleNamespace(customer=new_id(), rehearsal=new_id())
    with sessions.begin() as session:
        session.add(Tenant(id=found.customer, name="shop"))
        session.add(Tenant(id=found.rehearsal, name=SIMULATION))
        session.flush()
        ordinary = photos(CUSTOMERS, START + timedelta(minutes=30), -1.0, "shoes")
        insert_synthetic(session, found.customer, REAL, ordinary)
        for version in (REAL, OWN):
            rehearsed = photos(REHEARSED, START, 1.0, "rehearsed")
            insert_synthetic(session, found.rehearsal, version, rehearsed)
    return found


def seen(session, version):
    """Everything that a check reads of a window."""
    span = Span(version, START, END)
    binning = Binning([0.0], Calibration(1.0, 0.0), list(CATEGORIES))
    cube = build_cube(count_verdicts(session, span, binning), 2)
    sample = sample_embeddings(session, span, binning, 100)
    return SimpleNamespace(
        tenants=set(cube.tenants()),
        bins=cube.whole(None).bins.tolist(),
        edges=find_edges(session, span, 2),
        categories=find_categories(session, span, 10),
        sampled={photo.tenant_id for photo in sample},
        examples=len(find_examples(session, span, [], None, 1.0, 100)),
        slots=photos_by_slot(session, version, START, END, timedelta(minutes=30)),
        first=first_unchecked(session, version, START),
    )


def test_a_real_models_checks_see_its_customers_photos_alone(sessions, tenants):
    with sessions() as session:
        found = seen(session, REAL)
    assert found.tenants == found.sampled == {tenants.customer}
    assert found.bins == [CUSTOMERS, 0]
    assert all(edge < 0 for edge in found.edges)
    assert found.categories == ["shoes"]
    assert found.examples == CUSTOMERS
    # The first half hour held the rehearsal's photos alone: no slot of it.
    assert found.slots == {1: CUSTOMERS}
    assert found.first == START + timedelta(minutes=30)


def test_a_rehearsals_own_model_version_is_checked_with_all_its_photos(sessions, tenants):
    with sessions() as session:
        found = seen(session, OWN)
    assert found.tenants == found.sampled == {tenants.rehearsal}
    assert found.bins == [0, REHEARSED]
    assert found.edges
    assert found.categories == ["rehearsed"]
    assert found.examples == REHEARSED
    assert found.slots == {0: REHEARSED}
    assert found.first == START
