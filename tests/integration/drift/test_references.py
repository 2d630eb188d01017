"""References that an operator chose: the model's own evaluation, and a window of verdicts."""

import io
from datetime import timedelta

import numpy as np
import pytest
from sqlalchemy import select, text

from services.drift.run.publish import publish
from services.drift.run.rounds import Rounds
from services.drift.study.traffic import Shift, moment
from shared.contracts.drift import Cause, ReferenceChoice, ReferenceSource, Severity
from shared.core.settings import REPOSITORY_ROOT
from shared.db import models
from shared.db.drift.requests import NewRequest, add_request, list_references
from shared.db.drift.synthetic import SyntheticPhoto, insert_synthetic
from shared.db.tenants.keys import get_or_create_tenant
from shared.ml.evaluation_photos import read_photos
from shared.ml.package import load_package
from shared.ml.postprocess import judge
from tests.integration.drift.conftest import same_ids
from tests.integration.drift.test_rounds import reports_of, runs_of, until

PACKAGE = load_package(REPOSITORY_ROOT / "models" / "0.3.1")
CONTENT = PACKAGE.evaluation_photos.read_bytes()
PHOTOS = read_photos(io.BytesIO(CONTENT))
VERSION = PACKAGE.manifest.version
EVALUATION = NewRequest(
    VERSION,
    ReferenceChoice.EVALUATION,
    ai_share=0.05,
    manifest=PACKAGE.manifest.model_dump(mode="json"),
    evaluation=CONTENT,
)


def ask(sessions, new):
    with sessions.begin() as session:
        return add_request(session, new)


def requests_of(sessions):
    with sessions() as session:
        rows = session.execute(
            select(models.DriftReferenceRequest).order_by(models.DriftReferenceRequest.created_at)
        ).scalars()
        return [(row.choice, row.finished_at is not None, row.error) for row in rows]


def references(sessions):
    with sessions() as session:
        return list_references(session)


def used(sessions):
    (found,) = [each for each in references(sessions) if each.in_use]
    return found


@pytest.fixture
def traffic(sessions):
    """A function that stores hours of photos of the evaluation: real ones and a share of others."""
    with sessions.begin() as session:
        tenants = [get_or_create_tenant(session, name) for name in ("one", "two")]
    make_id = same_ids()

    def make(first_hour, hours, ai_share, rate=150):
        rng = np.random.default_rng(first_hour)
        for place, tenant in enumerate(tenants):
            made = []
            for number in range(hours * rate):
                kind = int(rng.random() < ai_share)
                row = rng.choice(np.flatnonzero(PHOTOS.label == kind))
                judgement = judge(float(PHOTOS.logit[row]), PACKAGE.manifest)
                at = moment(first_hour + place / 1000) + timedelta(hours=number / rate)
                vector = PHOTOS.embedding[row].astype(float) + rng.normal(0, 0.05, 16)
                made.append(
                    SyntheticPhoto(
                        at,
                        number,
                        judgement.label,
                        judgement.probability,
                        judgement.logit,
                        format="webp",
                        embedding=vector.tolist(),
                    )
                )
            with sessions.begin() as session:
                insert_synthetic(session, tenant, VERSION, made, make_id)

    return make


def test_traffic_like_the_evaluations_real_photos_is_no_drift_and_a_shift_is(
    sessions, servers, traffic
):
    ask(sessions, EVALUATION)
    traffic(0, 6, 0.05)
    Rounds(sessions, until(servers, 6)).run()
    # From the first window on: no day is waited for.
    runs = runs_of(sessions)
    assert runs[0][0] == moment(0)
    assert len(runs) == 3
    assert {run[2] for run in runs} == {"checked"}
    quiet = reports_of(sessions)[-1]
    assert {each.window_severity for each in reports_of(sessions)} == {Severity.NONE}
    _says_what_it_compared(quiet)

    traffic(6, 6, 0.35)
    settings = until(servers, 12)
    Rounds(sessions, settings).run()
    shifted = reports_of(sessions)[-1]
    assert shifted.severity is Severity.CRITICAL
    assert shifted.cause.kind is Cause.SCORE_SHIFT
    assert len(shifted.examples) == 12
    drifted = {each.subject for each in shifted.statistics if each.drifted}
    assert {"score", "labels"} <= drifted
    with sessions() as session:
        tenants = [row.id for row in session.execute(select(models.Tenant)).scalars()]
        publish(session, settings)
    # Each tenant is held against the whole evaluation.
    found = [reports_of(sessions, tenant) for tenant in tenants]
    assert [len(each) for each in found if each] == [6, 6]
    assert {each[-1].severity for each in found if each} == {Severity.CRITICAL}


def _says_what_it_compared(report):
    reference = report.reference
    assert (reference.source, reference.chosen) == (ReferenceSource.EVALUATION, True)
    assert (reference.start, reference.end) == (None, None)
    assert (reference.photos, reference.independent) == (1372, 677)
    # All files are of a new kind, and no alarm for that.
    assert {each.subject for each in report.statistics} == {"score", "labels"}
    assert (report.mixes, report.segments, report.charts.mixes) == ([], [], [])
    (note,) = report.notes
    assert "only scores and labels were compared" in note
    assert report.charts.embedding is None


def test_an_evaluation_is_not_replaced_by_a_quiet_week_until_the_operator_says_so(
    sessions, servers, traffic
):
    traffic(0, 30, 0.05, rate=60)
    Rounds(sessions, until(servers, 26, drift_reference_photos=1000)).run()
    first = used(sessions)
    assert (first.source, first.chosen) == ("production", False)
    ask(sessions, EVALUATION)
    week = {"drift_reference_photos": 1000, "drift_reference_seconds": 25 * 3600.0}
    rounds = Rounds(sessions, until(servers, 30, **week))
    rounds.run()
    assert used(sessions).source == "evaluation"
    assert len(references(sessions)) == 2
    with sessions() as session:
        row = session.execute(select(models.DriftReferenceRequest)).scalar_one()
        assert row.evaluation is None
        publish(session, rounds.settings)

    ask(sessions, NewRequest(VERSION, ReferenceChoice.AUTOMATIC))
    rounds.run()
    assert used(sessions).id == first.id
    traffic(30, 6, 0.05, rate=60)
    Rounds(sessions, until(servers, 36, **week)).run()
    renewed = used(sessions)
    assert renewed.id != first.id
    assert (renewed.source, renewed.chosen) == ("production", False)
    assert requests_of(sessions) == [("evaluation", True, None), ("automatic", True, None)]


def test_automatic_without_an_earlier_reference_makes_one_of_the_next_photos(
    sessions, servers, traffic
):
    ask(sessions, EVALUATION)
    traffic(0, 4, 0.05)
    Rounds(sessions, until(servers, 4)).run()
    last = runs_of(sessions)[-1][1]
    ask(sessions, NewRequest(VERSION, ReferenceChoice.AUTOMATIC))
    traffic(4, 8, 0.05)
    day = {"drift_reference_photos": 600, "drift_first_reference_seconds": 3600.0}
    Rounds(sessions, until(servers, 12, **day)).run()
    reference = used(sessions)
    assert reference.source == "production"
    assert reference.window_start == last
    assert runs_of(sessions)[-1][0] >= reference.window_end


def test_a_frozen_window_stays_and_its_photos_are_no_news(sessions, store, servers, marketplace):
    version = marketplace.scores.model_version
    store(0, 46)
    Rounds(sessions, until(servers, 30)).run()
    checked = runs_of(sessions)
    window = (moment(2), moment(34.2))
    ask(sessions, NewRequest(version, ReferenceChoice.WINDOW, *window))
    week = {"drift_reference_seconds": 27 * 3600.0}
    Rounds(sessions, until(servers, 46, **week)).run()
    reference = used(sessions)
    assert (reference.window_start, reference.window_end) == window
    assert reference.chosen
    assert len(references(sessions)) == 2
    new = runs_of(sessions)[len(checked) :]
    assert new[0][0] == until(servers, 46).plan().ceiling(window[1]) > window[1]
    report = reports_of(sessions)[-1]
    assert report.reference.chosen
    assert (report.reference.start, report.reference.end) == window
    assert {each.window_severity for each in reports_of(sessions)} == {Severity.NONE}

    store(46, 15, Shift(new_share=0.5))
    Rounds(sessions, until(servers, 61, **week)).run()
    assert reports_of(sessions)[-1].severity is Severity.CRITICAL
    assert used(sessions).id == reference.id


def test_what_cannot_be_is_told_and_nothing_changes(sessions, store, servers, marketplace):
    version = marketplace.scores.model_version
    store(0, 30)
    with sessions() as session:
        now = session.execute(text("SELECT clock_timestamp()")).scalar_one()
    broken = NewRequest(
        version, ReferenceChoice.EVALUATION, ai_share=0.05, manifest={}, evaluation=b"?"
    )
    window = ReferenceChoice.WINDOW
    for new in (
        NewRequest(version, window, moment(0), now + timedelta(days=1)),
        NewRequest(version, window, moment(0), moment(1)),
        NewRequest("no-such-version", window, moment(0), moment(9)),
        broken,
    ):
        ask(sessions, new)
    Rounds(sessions, until(servers, 30)).run()
    errors = [error for _, finished, error in requests_of(sessions) if finished]
    assert len(errors) == 4
    for error, said in zip(
        errors, ("not over yet", "a reference needs 2000", "calibration", "validation"), strict=True
    ):
        assert said in error
    assert not used(sessions).chosen
    assert {run[2] for run in runs_of(sessions)} == {"checked"}
