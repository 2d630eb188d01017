"""`/keys`: the tenant's API keys; needs one with the scope `admin`."""

from uuid import UUID

from shared.client.transport import Transport
from shared.contracts.wire.keys import (
    ApiKey,
    ApiKeyList,
    ApiKeyRotation,
    CreatedApiKey,
    NewApiKey,
    RotatedApiKey,
)


class Keys:
    """Calls of the keys API; for what they raise see `Transport`."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def create(self, new: NewApiKey) -> CreatedApiKey:
        """Make a key; it is shown in this answer alone."""
        return self._transport.send_for("POST", "/keys", CreatedApiKey, new)

    def list(self, *, include_inactive: bool = False) -> list[ApiKey]:
        """Return the active keys, oldest first, or all of them."""
        query = {"include_inactive": str(include_inactive).lower()}
        return self._transport.get("/keys", ApiKeyList, query).data

    def get(self, key_id: UUID) -> ApiKey:
        """Return what is known of a key."""
        return self._transport.get(f"/keys/{key_id}", ApiKey)

    def rotate(self, key_id: UUID, rotation: ApiKeyRotation | None = None) -> RotatedApiKey:
        """Make the key's successor; the old one works on for its grace period."""
        return self._transport.send_for("POST", f"/keys/{key_id}/rotate", RotatedApiKey, rotation)

    def revoke(self, key_id: UUID) -> None:
        """Refuse the key from now on."""
        self._transport.send("DELETE", f"/keys/{key_id}")
