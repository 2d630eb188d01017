"""Settings of the gateway. Environment variables are DETECTOR_GATEWAY_PORT and so on."""

from pathlib import Path

from pydantic import Field, HttpUrl, SecretStr, field_validator

from shared.contracts.tasks import MAX_CHUNK
from shared.keys.evidence import EvidenceSigner
from shared.settings.fetch import FetchSettings
from shared.settings.webhooks import WebhookSettings

MIB = 1024 * 1024


class GatewaySettings(FetchSettings, WebhookSettings):
    """Where to listen, how much to take in, how long to wait."""

    # Loopback by default: whoever opens it to a network does so knowingly.
    gateway_host: str = "127.0.0.1"
    # TCP port of the API; 0 takes a free one.
    gateway_port: int = Field(default=8000, ge=0, le=65535)
    # Processes. One event loop serves a 2-core machine; set it to the cores of a larger one.
    gateway_workers: int = Field(default=1, ge=1)
    # Directory of the counters that processes share, wiped at start; a temporary one by default.
    gateway_metrics_dir: Path | None = None

    # Files of one job: as many as fit one message to a worker.
    gateway_max_images: int = Field(default=MAX_CHUNK, ge=1, le=MAX_CHUNK)
    # Bytes of one file. Listing photos are 0.1–8 MiB; a 50-megapixel JPEG is about 20.
    gateway_max_image_bytes: int = Field(default=20 * MIB, ge=1)
    # Bytes of one whole `POST /jobs` body: 64 photos of 4 MiB.
    gateway_max_request_bytes: int = Field(default=256 * MIB, ge=1)
    # Bytes of a catalog's manifest or archive: some million rows, or some thousand photos.
    gateway_max_catalog_bytes: int = Field(default=1024 * MIB, ge=1)
    # Width times height times frames, read from the header. 50 megapixels decode to 150 MB.
    gateway_max_pixels: int = Field(default=52_000_000, ge=1)

    # Where people find the web page, such as https://photos.example.com: drift reports then link
    # their example photos to it. Without it they link to the API, which needs a key.
    gateway_ui_url: HttpUrl | None = None

    # Seconds without a byte of a body that has begun, before 408.
    gateway_upload_idle_seconds: float = Field(default=10.0, gt=0)
    # Seconds for a whole body: 256 MiB at 7 Mbit/s.
    gateway_upload_total_seconds: float = Field(default=300.0, gt=0)
    # Seconds within which a new connection, or a kept one after its first byte, must have sent a
    # complete request header.
    gateway_header_seconds: float = Field(default=15.0, gt=0)
    # Seconds a connection stays open between two requests. Longer than the reverse proxy before it
    # keeps its own (60 by default in nginx and most load balancers): else it now and then sends a
    # request into a connection that is just being closed, and answers 502.
    gateway_keep_alive_seconds: int = Field(default=75, ge=1)

    # Files that one process hashes and stores at a time; each holds one file's bytes in memory.
    gateway_store_threads: int = Field(default=16, ge=1)
    # Files of one request at a time, so that a request of 64 leaves room for the others.
    gateway_store_threads_per_request: int = Field(default=4, ge=1)
    # Seconds a request's files may wait for the object store before 503.
    gateway_store_seconds: float = Field(default=30.0, gt=0)

    # Photos by URL that one process fetches at a time; each holds one photo's bytes in memory.
    gateway_fetch_threads: int = Field(default=16, ge=1)
    # Photos by URL of one request at a time.
    gateway_fetch_threads_per_request: int = Field(default=8, ge=1)
    # Seconds for all photos by URL of a request; those not fetched by then fail.
    gateway_fetch_total_seconds: float = Field(default=30.0, gt=0)

    # Requests that a tenant may send in a minute; 0 sets no limit. `detector tenants limit` sets
    # one tenant's own. Redis counts them for all gateway processes.
    gateway_requests_per_minute: int = Field(default=6000, ge=0)
    # Photos of a tenant that may wait or run before it gets 429; 0 sets no limit. Those of
    # catalogs do not count.
    gateway_max_open_images: int = Field(default=20_000, ge=0)

    # Webhooks that one tenant may register.
    gateway_max_webhooks: int = Field(default=50, ge=1)

    # Signs evidence bundles (Ed25519): 64 hexadecimal digits (`openssl rand -hex 32`). Without one
    # bundles say that they are not signed. To change it, put the new key first and the old ones
    # after it, parted by commas: `GET /evidence/keys` goes on to show their public halves.
    gateway_evidence_keys: SecretStr | None = None

    # Seconds `POST /predict` waits for its verdict before 504.
    gateway_predict_seconds: float = Field(default=30.0, gt=0)
    # Seconds between two looks at the database during a wait. The notification wakes it; this is
    # for one that was lost with its connection.
    gateway_wait_recheck_seconds: float = Field(default=5.0, gt=0)
    # Seconds one health check may take.
    gateway_health_seconds: float = Field(default=3.0, gt=0)
    # Seconds that running requests get to finish at shutdown: longer than a prediction may take.
    gateway_shutdown_seconds: int = Field(default=35, ge=1)

    @field_validator("gateway_evidence_keys")
    @classmethod
    def _usable_keys(cls, value: SecretStr | None) -> SecretStr | None:
        # Compose sets what `.env` leaves empty to the empty string.
        if value is None or not value.get_secret_value().strip():
            return None
        EvidenceSigner(value.get_secret_value())
        return value

    def evidence_signer(self) -> EvidenceSigner | None:
        """Return what signs evidence bundles, None when nothing does."""
        keys = self.gateway_evidence_keys
        return None if keys is None else EvidenceSigner(keys.get_secret_value())
