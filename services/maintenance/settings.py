"""Settings of the maintenance process (`DETECTOR_MAINTENANCE_*`). Times are in seconds."""

from pydantic import Field

from shared.core.settings import BaseAppSettings


class MaintenanceSettings(BaseAppSettings):
    """How often the sweeps run and how patient they are."""

    # The gateway publishes right after commit; this sweep is for what it could not.
    maintenance_sweep_seconds: float = Field(default=2.0, gt=0)
    # Also bounds how long after its lease an image waits for a new worker.
    maintenance_rescue_seconds: float = Field(default=5.0, gt=0)
    # Invariants are counted over a day of rows: cheap, but not free.
    maintenance_check_seconds: float = Field(default=30.0, gt=0)
    # An image that waited this long while the broker's queue is empty has lost its message.
    maintenance_lost_after_seconds: float = Field(default=15.0, gt=0)
    # The same while the queue is not empty: it is far more likely to be waiting in it.
    maintenance_lost_in_backlog_seconds: float = Field(default=900.0, gt=0)
    # An image whose leases ran out this often ends workers; it is failed then.
    maintenance_max_crashes: int = Field(default=6, ge=1)
    # An image that is open for longer counts as stuck (docs/monitoring.md).
    maintenance_stuck_after_seconds: float = Field(default=900.0, gt=0)
    # Between two questions to each server whether it answers.
    maintenance_probe_seconds: float = Field(default=5.0, gt=0)
    # Sent outbox rows are kept this long for those who look into a delay.
    maintenance_outbox_kept_seconds: float = Field(default=86_400.0, gt=0)
    # Address on which /metrics answers.
    maintenance_metrics_host: str = "127.0.0.1"
    # Its port; 0 takes a free one and logs it.
    maintenance_metrics_port: int = Field(default=9102, ge=0, le=65535)
