"""Settings of services that fetch photos from URLs that clients name (`DETECTOR_FETCH_*`)."""

from pydantic import Field

from shared.core.settings import BaseAppSettings


class FetchSettings(BaseAppSettings):
    """Where photos may be fetched from, and how long that may take."""

    # Hosts of photos that may have a non-public address or an unusual port: host, host:port or
    # CIDR, parted by commas. All others must be public and on port 80 or 443.
    fetch_allowed_hosts: str = ""
    # Seconds for one photo, name lookup and redirects included.
    fetch_seconds: float = Field(default=10.0, gt=0)
    # Redirects that are followed for one photo, each checked like the first URL.
    fetch_max_redirects: int = Field(default=3, ge=0)

    def allowed_photo_hosts(self) -> tuple[str, ...]:
        """Return the entries of `fetch_allowed_hosts`."""
        return tuple(part.strip() for part in self.fetch_allowed_hosts.split(",") if part.strip())
