"""Settings of the webhooks service (`DETECTOR_WEBHOOK_*`). Times are in seconds."""

from typing import Self

from pydantic import Field, model_validator

from shared.settings.webhooks import WebhookSettings

_HOUR = 3600.0


class DispatcherSettings(WebhookSettings):
    """How deliveries are attempted, and for how long."""

    # Deliveries that one process attempts at a time; each is a thread that mostly waits.
    webhook_threads: int = Field(default=32, ge=1)
    # Of one endpoint at a time, over all processes: a slow receiver holds up nobody else.
    webhook_endpoint_concurrency: int = Field(default=4, ge=1)
    # For one whole attempt, name lookup and TLS included.
    webhook_timeout_seconds: float = Field(default=15.0, gt=0)
    # Of a delivery that is attempted. A dispatcher that died meanwhile delays it this long.
    webhook_lease_seconds: float = Field(default=30.0, gt=0)
    # Before each attempt, counted from the one before; then the delivery has failed.
    webhook_schedule: tuple[float, ...] = Field(
        default=(
            0.0, 5.0, 300.0, 1800.0, 2 * _HOUR, 5 * _HOUR, 10 * _HOUR, 14 * _HOUR, 20 * _HOUR,
            24 * _HOUR,
        ),
        min_length=1,
    )  # fmt: skip
    # Part of a delay by which it varies either way, so that retries do not come in waves.
    webhook_jitter: float = Field(default=0.1, ge=0, lt=1)
    # The longest that a receiver's Retry-After is honoured.
    webhook_retry_after_limit_seconds: float = Field(default=24 * _HOUR, gt=0)
    # An endpoint that failed for so long without a success is disabled.
    webhook_disable_after_seconds: float = Field(default=5 * 24 * _HOUR, gt=0)
    # Multiplies the schedule, Retry-After and the time until disabling; for trials and tests.
    webhook_clock_scale: float = Field(default=1.0, gt=0)
    # Bytes of a receiver's answer that the delivery log keeps.
    webhook_response_bytes: int = Field(default=1024, ge=0)
    # Between two looks for due deliveries; a notification usually comes first.
    webhook_poll_seconds: float = Field(default=2.0, gt=0)
    # Events and their delivery log are deleted after 30 days.
    webhook_retention_seconds: float = Field(default=30 * 24 * _HOUR, gt=0)
    # Between two rounds of deleting and measuring.
    webhook_tidy_seconds: float = Field(default=15.0, gt=0)
    # Loopback by default; containers open it to the metrics collector.
    webhook_metrics_host: str = "127.0.0.1"
    # TCP port of /metrics; 0 takes a free one.
    webhook_metrics_port: int = Field(default=9103, ge=0, le=65535)

    @model_validator(mode="after")
    def _lease_outlasts_attempt(self) -> Self:
        if self.webhook_lease_seconds <= self.webhook_timeout_seconds:
            raise ValueError("webhook_lease_seconds must exceed webhook_timeout_seconds")
        return self
