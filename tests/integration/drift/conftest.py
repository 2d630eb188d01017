"""A made-up marketplace whose photos lie in the test's database."""

import random
from collections.abc import Callable
from uuid import UUID

import numpy as np
import pytest

from services.drift.settings import DriftSettings
from services.drift.study.scores import read_scores
from services.drift.study.traffic import Marketplace, Photos, Shift, make_marketplace
from services.drift.study.windows_of import as_rows
from shared.core.settings import REPOSITORY_ROOT
from shared.db.drift.synthetic import insert_synthetic
from shared.db.models import Tenant

ORDINARY = Shift()
Store = Callable[..., Photos]


def same_ids(seed: int = 1) -> Callable[[], UUID]:
    """Return a maker of ids that are the same in every run.

    Ids decide which photos a check samples: by chance, a test of a cause that is named in 98 of
    100 samples fails twice in a hundred.
    """
    draws = random.Random(seed)
    return lambda: UUID(int=draws.getrandbits(128), version=4)


@pytest.fixture(scope="session")
def marketplace() -> Marketplace:
    scores = read_scores(REPOSITORY_ROOT / "models" / "0.3.1")
    return make_marketplace(scores, np.random.default_rng(1))


@pytest.fixture
def store(sessions, marketplace) -> Store:
    """A function that makes some hours of traffic and stores it; returns the photos."""
    with sessions.begin() as session:
        session.add_all(Tenant(id=each.id, name=each.id.hex) for each in marketplace.tenants)

    make_id = same_ids()

    def make(first_hour: int, hours: int, shift: Shift = ORDINARY, rate: float = 150.0) -> Photos:
        rng = np.random.default_rng(first_hour)
        photos = marketplace.week(rng, rate, first_hour, hours, shift)
        with sessions.begin() as session:
            for index, tenant in enumerate(marketplace.tenants):
                own = photos.take(photos.tenants == index)
                insert_synthetic(
                    session, tenant.id, marketplace.scores.model_version, as_rows(own), make_id
                )
        return photos

    return make


def drift_settings(servers, **own) -> DriftSettings:
    """Settings for thin traffic: windows of 600 photos, a reference of one day."""
    return DriftSettings(
        database_url=servers.database_url,
        redis_url=servers.redis_url,
        s3_endpoint=servers.s3_endpoint,
        s3_access_key=servers.s3_access_key,
        s3_secret_key=servers.s3_secret_key,
        **{"drift_window_photos": 600, "drift_min_photos": 100, **own},
    )
