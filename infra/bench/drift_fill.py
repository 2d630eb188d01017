"""Made-up verdicts by the million, written by PostgreSQL itself into the product's own tables."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

import psycopg

VERSION = "bench"
PHOTOS_PER_HOUR = 10_000
TENANTS = 20
# A job holds 1, 2, 3 or 4 photos in turn.
_PHOTOS_PER_JOB = 2.5
_TABLES = ["jobs", "images", "verdicts"]

# Uniform in 0..1 and the same again for a number: a job's photos have its tenant.
_CHANCE = """
CREATE FUNCTION pg_temp.chance(n bigint) RETURNS float8 IMMUTABLE PARALLEL SAFE
RETURN (hashint8extended(n, 1) & 2147483647) / 2147483648.0
"""
# A UUIDv7 as the product makes them: in the order of time. `digest` is 32 hexadecimal digits.
_ID = """
CREATE FUNCTION pg_temp.id_of(at timestamptz, digest text) RETURNS uuid IMMUTABLE PARALLEL SAFE
RETURN (lpad(to_hex(CAST(extract(epoch FROM at) * 1000 AS bigint)), 12, '0') || '7'
    || substr(digest, 1, 3) || '8' || substr(digest, 4, 15))::uuid
"""
_AT = "CAST(%(start)s AS timestamptz) + %(span)s * ((job - 0.5) / %(jobs)s)"
_TENANT = "(%(tenants)s::uuid[])[1 + width_bucket(pg_temp.chance(job), %(shares)s::float8[])]"

_TENANTS = (
    "INSERT INTO tenants (id, name) SELECT unnest(%(ids)s::uuid[]), unnest(%(names)s::text[])"
)
_CATEGORY = (
    "(ARRAY['shoes', 'bags', 'furniture', 'electronics', 'food', 'toys', NULL])"
    "[1 + floor(7 * random() ^ 1.5)]"
)
_JOBS = f"""
INSERT INTO jobs (id, tenant_id, status, category, request_id, created_at, started_at, finished_at)
SELECT pg_temp.id_of(at, md5('job' || job)), {_TENANT}, 'succeeded', {_CATEGORY}, 'bench', at, at,
    at
FROM (SELECT job, {_AT} AS at FROM generate_series(1, %(jobs)s) AS job) AS made
"""  # noqa: S608  # of constants only
# OFFSET 0: computed once for each row.
_IMAGES = f"""
INSERT INTO images (id, job_id, tenant_id, position, filename, status, object_key, sha256,
    content_type, size, width, height, encoder_quality, attempts, enqueued_at, created_at,
    finished_at)
SELECT pg_temp.id_of(at, digest), job_id, tenant_id, position, 'photo.jpg', 'succeeded',
    'tenants/photos/' || digest, digest || digest,
    CASE WHEN kind < 0.8 THEN 'image/jpeg' WHEN kind < 0.95 THEN 'image/webp' ELSE 'image/png' END,
    100000, side, side, CASE WHEN kind < 0.8 THEN 50 + floor(48 * random()) END, 1, at, at, at
FROM (
    SELECT at, job_id, tenant_id, position, md5(job_id || '-' || position) AS digest,
        random() AS kind, 400 + CAST(2600 * random() AS int) AS side
    FROM (
        SELECT job, at, pg_temp.id_of(at, md5('job' || job)) AS job_id, {_TENANT} AS tenant_id
        FROM (SELECT job, {_AT} AS at FROM generate_series(1, %(jobs)s) AS job) AS dated
        OFFSET 0) AS made
    CROSS JOIN LATERAL generate_series(0, CAST(job %% 4 AS int)) AS position
    OFFSET 0) AS drawn
"""  # noqa: S608  # of constants only
# One photo in twelve scores as the generated ones do. One in twenty repeats another's verdict.
_VERDICTS = f"""
INSERT INTO verdicts (image_id, model_version, label, probability, confidence, logit, judged_with,
    reused_from, embedding, created_at)
SELECT id, '{VERSION}', CASE WHEN p < 0.18 THEN 'real' WHEN p < 0.98 THEN 'uncertain'
        ELSE 'ai_generated' END, p, greatest(p, 1 - p), logit, %(judged_with)s::jsonb,
    CASE WHEN random() < 0.05 THEN id END,
    ARRAY[{", ".join(["random_normal()"] * 16)}]::real[], created_at
FROM (
    SELECT id, created_at, logit, 1 / (1 + exp(-(logit / 0.66 + 0.45))) AS p
    FROM (
        SELECT id, created_at, CASE WHEN random() < 1 / 12.0 THEN 1.2 ELSE -1.4 END
            + 0.9 * random_normal() AS logit
        FROM images) AS drawn) AS judged
"""  # noqa: S608  # of constants only
# As long as what the service stores beside a verdict.
_JUDGED_WITH = json.dumps(
    {
        "package_sha256": "ab" * 32,
        "engine": "openvino-cpu-f32",
        "precision": "f32",
        "cpu": {"model": "A Processor @ 2.00GHz", "flags": ["avx2", "avx512f", "fma"]},
        "false_accusation_budget": 0.01,
        "thresholds": {"real_below": 0.1766, "ai_above": 0.9849},
        "calibration": {"temperature": 0.66, "bias": 0.45},
        "preprocess": {"resize": 320, "crop": 300, "interpolation": "bicubic"},
        "recheck": None,
        "provenance": {"c2pa": "0.5", "trust_list": "cd" * 32},
    }
)


@dataclass(frozen=True, slots=True)
class Filled:
    """What lies in the tables: verdicts of VERSION from `start` until before `end`."""

    photos: int
    start: datetime
    end: datetime

    @property
    def hours(self) -> int:
        """Whole hours between the two."""
        return round((self.end - self.start) / timedelta(hours=1))


def fill(database_url: str, photos: int) -> Filled:
    """Empty the tables and write `photos` verdicts, PHOTOS_PER_HOUR in each hour until now.

    Nothing is synced to the disk meanwhile, indexes are built at the end and keys are not looked
    up: this is no part of what is measured. `photos` is a multiple of 10,000.
    """
    now = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    # The hour before may be settling yet.
    end = now - timedelta(hours=1)
    filled = Filled(photos, end - timedelta(hours=photos / PHOTOS_PER_HOUR), end)
    with psycopg.connect(database_url.replace("+psycopg", ""), autocommit=True) as connection:
        # The service's tables come and go with the schema; what is measured must not lie there.
        connection.execute("TRUNCATE tenants, drift_references, drift_runs CASCADE")
        _fsync(connection, on=False)
        _write(connection, filled)
        _fsync(connection, on=True)
        for table in _TABLES:
            connection.execute(f"VACUUM (ANALYZE) {table}")
        connection.execute("CHECKPOINT")
    return filled


def _fsync(connection: psycopg.Connection[tuple[object, ...]], *, on: bool) -> None:
    connection.execute(f"ALTER SYSTEM SET fsync = {'on' if on else 'off'}")
    connection.execute("SELECT pg_reload_conf()")


def _write(connection: psycopg.Connection[tuple[object, ...]], filled: Filled) -> None:
    tenants = [UUID(int=0xBE7C4 + rank) for rank in range(TENANTS)]
    weights = [1 / (rank + 1) for rank in range(TENANTS)]
    shares = [sum(weights[: rank + 1]) / sum(weights) for rank in range(TENANTS - 1)]
    values = {
        "start": filled.start,
        "span": filled.end - filled.start,
        "jobs": round(filled.photos / _PHOTOS_PER_JOB),
        "tenants": tenants,
        "shares": shares,
        "judged_with": _JUDGED_WITH,
    }
    for statement in (_CHANCE, _ID, "SET session_replication_role = replica"):
        connection.execute(statement)
    connection.execute("SET maintenance_work_mem = '512MB'")
    names = [f"marketplace {rank}" for rank in range(TENANTS)]
    connection.execute(_TENANTS, {"ids": tenants, "names": names})
    indexes = connection.execute(
        "SELECT indexname, indexdef FROM pg_indexes WHERE tablename = ANY(%s) AND indexname"
        " NOT IN (SELECT conname FROM pg_constraint)",
        (_TABLES,),
    ).fetchall()
    for name, _definition in indexes:
        connection.execute(f"DROP INDEX {name}")
    for statement in (_JOBS, _IMAGES, _VERDICTS):
        connection.execute(statement, values)
    for _name, definition in indexes:
        connection.execute(str(definition))
