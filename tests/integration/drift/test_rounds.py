"""The service's rounds on a real database: windows, reports, states, events, retention."""

from datetime import timedelta
from itertools import pairwise

import psycopg
import pytest
from prometheus_client import REGISTRY
from sqlalchemy import select, text
from sqlalchemy.orm import defer

from services.drift.run.publish import publish
from services.drift.run.rounds import Rounds
from services.drift.study.traffic import Shift, moment
from shared.contracts.drift import Cause, DriftReport, Severity
from shared.contracts.events import EventType
from shared.db import models
from tests.integration.drift.conftest import drift_settings

SHIFT = Shift(new_share=0.5)


def runs_of(sessions):
    with sessions() as session:
        rows = session.execute(select(models.DriftRun).order_by(models.DriftRun.window_end))
        return [
            (run.window_start, run.window_end, run.status, run.photos) for run in rows.scalars()
        ]


def reports_of(sessions, tenant_id=None):
    with sessions() as session:
        rows = session.execute(
            select(models.DriftReport)
            .where(models.DriftReport.tenant_id.is_not_distinct_from(tenant_id))
            .order_by(models.DriftReport.window_end)
        )
        return [DriftReport.model_validate(row.body) for row in rows.scalars()]


def until(servers, hour, **own):
    """Settings under which the database's time is `hour` of the made-up traffic."""
    with psycopg.connect(servers.database_url.replace("+psycopg", "")) as connection:
        now = connection.execute("SELECT clock_timestamp()").fetchone()[0]
    settle = (now - moment(hour)).total_seconds()
    own = {"drift_window_seconds": 3600.0} | own
    return drift_settings(servers, drift_settle_seconds=settle, **own)


def test_quiet_traffic_is_checked_without_a_gap_whenever_the_service_runs(sessions, store, servers):
    photos = store(0, 42)
    # Away between hours 30 and 42, it finds the windows that it would have found.
    Rounds(sessions, until(servers, 30)).run()
    assert len(runs_of(sessions)) == 1
    Rounds(sessions, until(servers, 42)).run()
    interrupted = runs_of(sessions)
    with sessions.begin() as session:
        session.execute(text("TRUNCATE drift_references, drift_runs, drift_reports, drift_states"))
    Rounds(sessions, until(servers, 42)).run()
    runs = runs_of(sessions)
    assert runs == interrupted
    assert all(before[1] == after[0] for before, after in pairwise(runs))
    assert all(run[2] == "checked" and run[3] >= 600 for run in runs)
    assert len(runs) >= 3
    with sessions() as session:
        reference = session.execute(select(models.DriftReference)).scalar_one()
    assert (reference.window_start, reference.window_end) == (moment(0), moment(24))
    assert runs[0][0] == reference.window_end
    checked = (photos.hours >= 24) & (photos.hours < (runs[-1][1] - moment(0)) / timedelta(hours=1))
    assert sum(run[3] for run in runs) == checked.sum()
    assert {report.severity for report in reports_of(sessions)} == {Severity.NONE}


def test_a_new_generator_is_named_shown_and_told_once(sessions, store, servers, marketplace):
    store(0, 30)
    photos = store(30, 15, SHIFT)
    settings = until(servers, 45, drift_active_seconds=1e9, drift_reference_seconds=28 * 3600.0)
    rounds = Rounds(sessions, settings)
    rounds.run()
    report = reports_of(sessions)[-1]
    assert report.severity is Severity.CRITICAL
    assert report.cause.kind is Cause.NEW_CLUSTER
    assert report.cause.model_relevant
    _shows_photos_of_the_new_generator(sessions, report, photos)
    _told_once(sessions, marketplace.tenants[0].id)
    # No traffic with drift in it becomes a reference.
    with sessions() as session:
        assert len(session.execute(select(models.DriftReference.id)).all()) == 1
    before = (runs_of(sessions), len(reports_of(sessions)))
    rounds.run()
    assert (runs_of(sessions), len(reports_of(sessions))) == before
    with sessions() as session:
        publish(session, settings)
    _metrics_agree(marketplace.scores.model_version)


def _shows_photos_of_the_new_generator(sessions, report, photos):
    assert report.cluster is not None
    assert len(report.cluster.examples) == 12
    with sessions() as session:
        found = session.execute(
            text("SELECT logit FROM verdicts WHERE image_id = ANY(:ids)"),
            {"ids": report.cluster.examples},
        ).scalars()
        new = set(photos.logits[photos.new].round(9).tolist())
        assert sum(round(logit, 9) in new for logit in found) >= 11


def _told_once(sessions, tenant):
    with sessions() as session:
        event = session.execute(
            select(models.WebhookEvent).where(
                models.WebhookEvent.type == EventType.DRIFT_DETECTED,
                models.WebhookEvent.tenant_id == tenant,
            )
        ).scalar_one()
        report = session.get_one(models.DriftReport, event.subject["report_id"])
        assert report.tenant_id == tenant
        assert report.severity == event.subject["severity"] == "critical"
        owners = session.execute(
            text("SELECT DISTINCT tenant_id FROM images WHERE id = ANY(CAST(:ids AS uuid[]))"),
            {"ids": event.subject["examples"]},
        ).scalars()
        assert list(owners) == [tenant]


def _metrics_agree(version):
    value = REGISTRY.get_sample_value
    assert value("detector_drift_severity", {"model_version": version, "scope": "all"}) == 2
    assert value("detector_drift_cause", {"model_version": version, "cause": "new_cluster"}) == 1
    assert value("detector_drift_reference_photos", {"model_version": version}) > 2000
    statistic = {"model_version": version, "statistic": "psi", "subject": "score"}
    threshold = value("detector_drift_statistic_threshold", {"statistic": "psi"})
    assert value("detector_drift_statistic", statistic) > threshold


def test_silence_is_one_empty_window_and_thin_traffic_too_few_photos(sessions, store, servers):
    store(0, 26)
    store(26 + 720, 27, rate=4.0)
    Rounds(sessions, until(servers, 26 + 720 + 27)).run()
    runs = runs_of(sessions)
    assert all(before[1] == after[0] for before, after in pairwise(runs))
    # What was left of the first day waits a day for more.
    assert [run[2] for run in runs][1:] == ["empty", "too_few"]
    assert runs[1][1] == moment(26 + 720)
    assert runs[2][1] - runs[2][0] == timedelta(days=1)


def test_a_quiet_week_makes_a_better_reference(sessions, store, servers):
    store(0, 40)
    settings = until(servers, 40, drift_reference_seconds=27 * 3600.0)
    Rounds(sessions, settings).run()
    with sessions() as session:
        references = (
            session.execute(
                select(models.DriftReference)
                .options(defer(models.DriftReference.embeddings))
                .order_by(models.DriftReference.created_at)
            )
            .scalars()
            .all()
        )
        first, renewed = references
        assert (first.window_start, first.window_end) == (moment(0), moment(24))
        assert renewed.window_end - renewed.window_start == timedelta(hours=27)
        assert renewed.photos > first.photos
        last = (
            session.execute(
                select(models.DriftRun.reference_id).order_by(models.DriftRun.window_end.desc())
            )
            .scalars()
            .first()
        )
    assert last == renewed.id


def test_old_reports_go_and_the_last_check_stays(sessions, store, servers):
    store(0, 30)
    rounds = Rounds(sessions, until(servers, 30))
    rounds.run()
    last = runs_of(sessions)[-1]
    # Made-up traffic is months old: everything is past its time.
    with sessions.begin() as session:
        session.execute(
            text(
                "UPDATE drift_runs SET window_end = window_end - interval '300 days',"
                " window_start = window_start - interval '300 days'"
            )
        )
        session.execute(
            text("UPDATE drift_reports SET window_end = window_end - interval '300 days'")
        )
    rounds.tidy()
    kept = runs_of(sessions)
    assert [run[1] for run in kept] == [last[1] - timedelta(days=300)]
    assert reports_of(sessions) == []
    with sessions() as session:
        assert session.execute(select(models.DriftState.report_id)).scalars().first() is None


def test_rows_of_before_embeddings_and_encoder_quality_are_checked_without(
    sessions, store, servers
):
    store(0, 30)
    with sessions.begin() as session:
        session.execute(text("UPDATE verdicts SET embedding = NULL"))
        session.execute(text("UPDATE images SET encoder_quality = NULL"))
    Rounds(sessions, until(servers, 30)).run()
    report = reports_of(sessions)[-1]
    assert report.severity is Severity.NONE
    subjects = {each.subject for each in report.statistics}
    assert subjects == {"score", "labels", "format", "size"}
    assert any("Embeddings were not compared" in note for note in report.notes)


def test_reviewers_labels_make_the_accuracy(sessions, store, servers):
    store(0, 30)
    with sessions.begin() as session:
        session.execute(
            text("""
            INSERT INTO feedback (id, image_id, tenant_id, label, reason, reviewer, overturned,
                created_at)
            SELECT gen_random_uuid(), i.id, i.tenant_id, 'real', 'checked', 'r', false, v.created_at
            FROM verdicts v JOIN images i ON i.id = v.image_id""")
        )
    Rounds(sessions, until(servers, 30)).run()
    feedback = reports_of(sessions)[-1].feedback
    assert feedback is not None
    with sessions() as session:
        right, wrong = session.execute(
            text("""
            SELECT count(*) FILTER (WHERE label = 'real'),
                count(*) FILTER (WHERE label = 'ai_generated')
            FROM verdicts WHERE created_at < :end"""),
            {"end": runs_of(sessions)[-1][1]},
        ).one()
    assert feedback.photos == right + wrong
    assert feedback.accuracy == pytest.approx(right / (right + wrong))
    assert feedback.false_accusations == wrong
    assert feedback.low < feedback.accuracy < feedback.high
