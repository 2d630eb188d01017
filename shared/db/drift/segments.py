"""How photos are told apart: the SQL of each dimension, and its possible values.

Bounds are fixed, never taken from a window: segments of two windows must mean the same.
"""

from shared.contracts.drift import SIMULATION, Dimension

# Of categories, those that the reference holds most of; free text has no bound of its own.
OTHER = "(other)"
NONE = "(none)"
UNKNOWN = "(unknown)"

# Upper bounds of JPEG quality, exclusive, and the name of the band below each.
_QUALITY_BANDS = ((50, "under 50"), (70, "50-69"), (80, "70-79"), (90, "80-89"), (101, "90-100"))
# Upper bounds in pixels.
_SIZE_CLASSES = (
    (250_000, "under 0.25 MP"),
    (1_000_000, "0.25-1 MP"),
    (4_000_000, "1-4 MP"),
    (16_000_000, "4-16 MP"),
)
_LARGEST = "over 16 MP"


def _quality() -> str:
    bands = " ".join(
        f"WHEN i.encoder_quality < {top} THEN '{name}'" for top, name in _QUALITY_BANDS
    )
    return f"CASE WHEN i.encoder_quality IS NULL THEN '{UNKNOWN}' {bands} END"


def _size() -> str:
    pixels = "CAST(i.width AS bigint) * i.height"
    classes = " ".join(f"WHEN {pixels} < {top} THEN '{name}'" for top, name in _SIZE_CLASSES)
    return f"CASE WHEN i.width IS NULL THEN '{UNKNOWN}' {classes} ELSE '{_LARGEST}' END"


_CATEGORY = (
    f"CASE WHEN j.category IS NULL THEN '{NONE}'"
    f" WHEN j.category = ANY(CAST(:categories AS text[])) THEN j.category ELSE '{OTHER}' END"
)
_FORMAT = f"coalesce(replace(i.content_type, 'image/', ''), '{UNKNOWN}')"

# Over `images i` and `jobs j`; `:categories` are those that count by name.
EXPRESSIONS = {
    Dimension.FORMAT: _FORMAT,
    Dimension.ENCODER_QUALITY: _quality(),
    Dimension.SIZE: _size(),
    Dimension.CATEGORY: _CATEGORY,
}

_SIMULATED = f"starts_with(CAST(:model_version AS text), '{SIMULATION}-')"
_TENANT = f"(SELECT id FROM tenants WHERE name = '{SIMULATION}')"  # noqa: S608  # a constant
# Over `images i`: a rehearsal's photos, judged by a real model, are none of that model's traffic.
# Photos of the model versions that it made up are.
IS_TRAFFIC = f"({_SIMULATED} OR i.tenant_id IS DISTINCT FROM {_TENANT})"
# The opposite, in a form that indexes serve, and that reads nothing where nobody rehearsed.
IS_REHEARSAL = f"NOT {_SIMULATED} AND EXISTS {_TENANT} AND i.tenant_id = {_TENANT}"
