"""Settings of the drift service (`DETECTOR_DRIFT_*`). Times are in seconds."""

from datetime import timedelta
from typing import Self

from pydantic import Field, model_validator

from services.drift.analysis.window import Rules
from services.drift.report.severity import Patience
from services.drift.windows import Plan
from shared.core.settings import BaseAppSettings
from shared.settings.drift import DriftWindowSettings

_HOUR = 3600.0
_DAY = 24 * _HOUR


class DriftSettings(DriftWindowSettings, BaseAppSettings):
    """What is compared, how often, and when it counts."""

    # A window grows no longer than this: thin traffic is checked once a day.
    drift_window_limit_seconds: float = Field(default=_DAY, gt=0)
    # Between two looks for windows that have ended.
    drift_poll_seconds: float = Field(default=15.0, gt=0)
    # A reference of so long replaces the first, when nothing has drifted: all days of a week.
    drift_reference_seconds: float = Field(default=7 * _DAY, gt=0)
    # Bounds the chance that any test of a check is falsely significant, before effects count.
    drift_alpha: float = Field(default=0.02, gt=0, lt=1)
    # Windows in a row that raise a severity.
    drift_raise_after: int = Field(default=2, ge=1)
    # Windows in a row that end it.
    drift_clear_after: int = Field(default=3, ge=1)
    # Photos whose embeddings are looked at, of each scope.
    drift_sample_photos: int = Field(default=2000, ge=200, le=20_000)
    # A model version that has judged nothing for so long, while another has, alerts no more.
    drift_active_seconds: float = Field(default=6 * _HOUR, gt=0)
    # Reviewers' labels are counted over so long: they come late.
    drift_feedback_seconds: float = Field(default=30 * _DAY, gt=0)
    # Reports of nothing are deleted after two weeks.
    drift_quiet_retention_seconds: float = Field(default=14 * _DAY, gt=0)
    # Reports of drift, and the list of checks, are deleted after half a year.
    drift_retention_seconds: float = Field(default=183 * _DAY, gt=0)
    # Counting a window of ten million photos takes minutes; other services' limit is 30 s.
    drift_statement_seconds: float = Field(default=900.0, gt=0)
    # Address on which /metrics answers.
    drift_metrics_host: str = "127.0.0.1"
    # Its port; 0 takes a free one and logs it.
    drift_metrics_port: int = Field(default=9105, ge=0, le=65535)

    @model_validator(mode="after")
    def _limits_are_ordered(self) -> Self:
        if self.drift_window_limit_seconds < self.drift_window_seconds:
            raise ValueError("drift_window_limit_seconds must not be below drift_window_seconds")
        if self.drift_retention_seconds < self.drift_quiet_retention_seconds:
            raise ValueError(
                "drift_retention_seconds must not be below drift_quiet_retention_seconds"
            )
        return self

    def rules(self) -> Rules:
        """Return when a window counts."""
        return Rules(
            self.drift_alpha,
            self.drift_min_photos,
            Patience(self.drift_raise_after, self.drift_clear_after),
        )

    def plan(self) -> Plan:
        """Return how time is cut into windows."""
        return Plan(
            step=timedelta(seconds=self.drift_window_seconds),
            photos=self.drift_window_photos,
            limit=timedelta(seconds=self.drift_window_limit_seconds),
        )
