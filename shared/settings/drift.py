"""Settings that the drift service and its rehearsal share (`DETECTOR_DRIFT_*`), in seconds."""

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

_DAY = 24 * 3600.0


class DriftWindowSettings(BaseSettings):
    """How many photos and how much time a check looks at. Nothing of it is required."""

    model_config = SettingsConfigDict(env_prefix="DETECTOR_", frozen=True, extra="ignore")

    # Windows end on multiples of this, from midnight UTC of 1970 on, and are at least as long. Two
    # in a row raise an alert, so that half an hour tells a busy market within the hour.
    drift_window_seconds: float = Field(default=1800.0, gt=0)
    # A window grows until it holds so many photos: fewer make noise of every test.
    drift_window_photos: int = Field(default=4000, ge=1)
    # Verdicts bear the time at which their transaction began; so long after, all have arrived.
    drift_settle_seconds: float = Field(default=60.0, ge=0)
    # Photos that a first reference needs.
    drift_reference_photos: int = Field(default=2000, ge=100)
    # How long a first reference spans at least: a day holds all its hours' mixes.
    drift_first_reference_seconds: float = Field(default=_DAY, gt=0)
    # Independent photos that a tenant, or all together, needs on both sides to be checked.
    drift_min_photos: int = Field(default=200, ge=50)
