"""Requests to addresses that clients name: never to a non-public one.

`GuardedClient(GuardSettings(...))` is all that a caller needs; every failure is a `FetchError`
with a stable code. Nothing else of `shared` is imported here, and no environment is read.
"""

from shared.net.client import Fetched, GuardedClient, Reply
from shared.net.errors import FetchError, FetchErrorCode
from shared.net.guard import Guard, GuardSettings

__all__ = [
    "FetchError",
    "FetchErrorCode",
    "Fetched",
    "Guard",
    "GuardSettings",
    "GuardedClient",
    "Reply",
]
