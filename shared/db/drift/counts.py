"""Counts of stored verdicts per segment and bin: one statement, however many photos there are."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

from shared.contracts.drift import Dimension
from shared.db.drift.segments import EXPRESSIONS, IS_TRAFFIC

_DIMENSIONS = tuple(EXPRESSIONS)
# GROUPING()'s bit mask -> the dimension that a row is grouped by: its bit alone is 0.
_ALL = (1 << len(_DIMENSIONS)) - 1
_BY_MASK = {
    _ALL: None,
    **{
        _ALL ^ (1 << (len(_DIMENSIONS) - 1 - place)): dimension
        for place, dimension in enumerate(_DIMENSIONS)
    },
}
_COLUMNS = ", ".join(f"{sql} AS {dimension}" for dimension, sql in EXPRESSIONS.items())
_NAMES = ", ".join(_DIMENSIONS)
_SETS = ", ".join(f"({dimension})" for dimension in _DIMENSIONS)

# The calibrated probability of the network alone: a conclusive statement of origin makes a stored
# one 1 whatever the network said. exp() of anything outside is an error in PostgreSQL.
PROBABILITY = (
    "1 / (1 + exp(-greatest(-600, least(600, v.logit / CAST(:temperature AS float8)"
    " + CAST(:bias AS float8)))))"
)
# A job counts once, its photos resemble each other; of a catalog each photo is a product's own.
INDEPENDENT = "(j.kind = 'catalog' OR i.position = 0)"
_WINDOW = "v.model_version = :model_version AND v.created_at >= :start AND v.created_at < :end"

_TOTALS = ", ".join(
    [f"CAST(sum({name}) AS bigint) AS {name}" for name in ("photos", "independent", "reused")]
    + [f"sum({name}) AS {name}" for name in ("logit", "p", "p2", "c", "c2")]
)
# First by all properties together, of which there are few combinations, then by each of them.
_COUNT = text(f"""
WITH judged AS (
    SELECT i.tenant_id, {_COLUMNS}, v.label,
        width_bucket(v.logit, CAST(:edges AS float8[])) AS bin,
        v.logit, {PROBABILITY} AS p, v.probability, v.reused_from IS NOT NULL AS reused,
        {INDEPENDENT} AS independent
    FROM verdicts v JOIN images i ON i.id = v.image_id JOIN jobs j ON j.id = i.job_id
    WHERE {_WINDOW} AND {IS_TRAFFIC}),
combined AS MATERIALIZED (
    SELECT tenant_id, {_NAMES}, bin,
        CASE WHEN abs(probability - p) > 1e-6 THEN 'stated' ELSE label END AS label,
        count(*) FILTER (WHERE NOT reused) AS photos,
        count(*) FILTER (WHERE NOT reused AND independent) AS independent,
        count(*) FILTER (WHERE reused) AS reused,
        coalesce(sum(logit) FILTER (WHERE NOT reused), 0) AS logit,
        coalesce(sum(p) FILTER (WHERE NOT reused), 0) AS p,
        coalesce(sum(p * p) FILTER (WHERE NOT reused), 0) AS p2,
        coalesce(sum(greatest(p, 1 - p)) FILTER (WHERE NOT reused), 0) AS c,
        coalesce(sum(greatest(p, 1 - p) ^ 2) FILTER (WHERE NOT reused), 0) AS c2
    FROM judged
    GROUP BY tenant_id, {_NAMES}, bin, {len(_DIMENSIONS) + 3})
SELECT tenant_id, GROUPING({_NAMES}) AS mask, coalesce({_NAMES}) AS value, bin, label,
    {_TOTALS}
FROM combined
GROUP BY tenant_id, bin, label, GROUPING SETS ((), {_SETS})
""")  # noqa: S608  # of constants only
# The planner takes the combinations to be as many as the photos, and would sort all of these.
_HASH, _AS_BEFORE = (text(f"SET LOCAL enable_sort = {value}") for value in ("off", "on"))

# A rehearsal's photos may be among them: a model's calibration is one line, whoever's they are.
_CALIBRATION = text("""
SELECT count(*) AS n, regr_slope(z, logit) AS slope, regr_intercept(z, logit) AS intercept,
    regr_r2(z, logit) AS r2
FROM (
    SELECT logit, ln(probability / (1 - probability)) AS z FROM verdicts v
    WHERE v.model_version = :model_version AND v.created_at >= :start AND v.created_at < :end
    AND probability BETWEEN 1e-9 AND 1 - 1e-9 LIMIT 10000) AS sample
""")

# Discrete: an edge is a logit that occurred.
_EDGES = text(f"""
SELECT percentile_disc(CAST(:at AS float8[])) WITHIN GROUP (ORDER BY v.logit)
FROM verdicts v JOIN images i ON i.id = v.image_id
WHERE {_WINDOW} AND {IS_TRAFFIC} AND v.reused_from IS NULL
""")  # noqa: S608  # of constants only

# Apart, lest the planner begin with the jobs that have a category: where it believes that hardly
# any has one, it looks through all images for each of them.
_CATEGORIES = text(f"""
WITH counted AS MATERIALIZED (
    SELECT j.category, count(*) AS photos FROM verdicts v
    JOIN images i ON i.id = v.image_id JOIN jobs j ON j.id = i.job_id
    WHERE {_WINDOW} AND {IS_TRAFFIC} GROUP BY j.category)
SELECT category FROM counted WHERE category IS NOT NULL
ORDER BY photos DESC, category LIMIT :limit
""")  # noqa: S608  # of constants only


@dataclass(frozen=True, slots=True)
class Span:
    """One model version's verdicts from `start` until before `end`."""

    model_version: str
    start: datetime
    end: datetime

    def parameters(self) -> dict[str, object]:
        """Return them as the statements here name them."""
        return {"model_version": self.model_version, "start": self.start, "end": self.end}


@dataclass(frozen=True, slots=True)
class Calibration:
    """P(AI-generated) = sigmoid(logit / temperature + bias)."""

    temperature: float
    bias: float


@dataclass(frozen=True, slots=True)
class Binning:
    """What a reference fixes for all windows compared with it.

    `edges` are rising logits; bin 0 lies below the first. `categories` count by name.
    """

    edges: Sequence[float]
    calibration: Calibration
    categories: Sequence[str]


@dataclass(frozen=True, slots=True)
class CountRow:
    """Photos of one tenant, segment, bin and label.

    `dimension` None is the tenant's whole. Sums go over photos judged anew: of logits, of the
    probability, of the confidence max(p, 1 - p) and of their squares. `label` is `stated` where
    a statement of origin overruled the network.
    """

    tenant_id: UUID
    dimension: Dimension | None
    value: str
    bin: int
    label: str
    photos: int
    independent: int
    reused: int
    logit: float
    p: float
    p2: float
    c: float
    c2: float


def count_verdicts(session: Session, span: Span, binning: Binning) -> Iterator[CountRow]:
    """Yield the counts of `span`: a row for each combination that occurs."""
    session.execute(_HASH)
    rows = session.execute(
        _COUNT,
        {
            **span.parameters(),
            "edges": list(binning.edges),
            "temperature": binning.calibration.temperature,
            "bias": binning.calibration.bias,
            "categories": list(binning.categories),
        },
    ).all()
    session.execute(_AS_BEFORE)
    for row in rows:
        dimension = _BY_MASK[row.mask]
        yield CountRow(
            row.tenant_id,
            dimension,
            row.value if dimension else "",
            row.bin,
            *(row.label, row.photos, row.independent, row.reused),
            *(row.logit, row.p, row.p2, row.c, row.c2),
        )


def find_calibration(session: Session, span: Span) -> Calibration | None:
    """Return the calibration that the span's verdicts were made with, read from the rows.

    Logit and probability are stored together, so it is a straight line through them. None when the
    rows do not lie on one: too few of them, or a version that was calibrated anew.
    """
    row = session.execute(_CALIBRATION, span.parameters()).one()
    if row.n < 2 or row.slope is None or row.slope <= 0 or row.r2 < 1 - 1e-6:
        return None
    return Calibration(1 / row.slope, row.intercept)


def find_edges(session: Session, span: Span, bins: int) -> list[float]:
    """Return the logits that cut the span into `bins` bins of even counts; fewer where tied."""
    at = [place / bins for place in range(1, bins)]
    edges = session.execute(_EDGES, {**span.parameters(), "at": at}).scalar_one()
    return sorted(set(edges or []))


def find_categories(session: Session, span: Span, limit: int) -> list[str]:
    """Return the span's most frequent categories, the most frequent first."""
    rows = session.execute(_CATEGORIES, {**span.parameters(), "limit": limit})
    return [row.category for row in rows]
