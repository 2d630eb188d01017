"""Why a request to an address that a client named did not succeed."""

from enum import StrEnum


class FetchErrorCode(StrEnum):
    """Stable codes; they appear in API answers and in delivery logs. Never rename one."""

    INVALID_URL = "invalid_url"
    BLOCKED_ADDRESS = "blocked_address"
    FETCH_TIMEOUT = "fetch_timeout"
    FETCH_TOO_LARGE = "fetch_too_large"
    FETCH_FAILED = "fetch_failed"
    FETCH_STATUS = "fetch_status"
    TOO_MANY_REDIRECTS = "too_many_redirects"


class FetchError(Exception):
    """A guarded request failed.

    `str(error)` may be shown to the client that named the URL: it holds neither the addresses that
    a name resolves to nor anything else of the network that this process runs in.
    """

    def __init__(self, code: FetchErrorCode, detail: str, status: int | None = None) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail
        # HTTP status of the answer, only with FETCH_STATUS.
        self.status = status
