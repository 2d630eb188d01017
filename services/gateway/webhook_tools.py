"""What the webhook routes need besides the database: the secret box and the guard over URLs."""

from dataclasses import dataclass

from services.gateway.http.problems import INVALID_REQUEST, ProblemError
from shared.keys.signing_secrets import SecretBox
from shared.net import FetchError, Guard, GuardSettings
from shared.settings.webhooks import WebhookSettings


@dataclass(frozen=True, slots=True)
class WebhookTools:
    """Seals secrets and judges receivers' URLs as far as they are written."""

    box: SecretBox
    guard: Guard

    @classmethod
    def from_settings(cls, settings: WebhookSettings) -> "WebhookTools":
        """Raise ValueError when an allowed receiver has no known form."""
        guard = Guard(GuardSettings(allowed_hosts=settings.allowed_receivers()))
        return cls(settings.secret_box(), guard)

    def check_url(self, url: str) -> str:
        """Return `url` or raise ProblemError (422).

        An address inside the network, a local name or a port that is not allowed is refused at
        once; what other names lead to is judged at every delivery.
        """
        try:
            self.guard.parse(url)
        except FetchError as error:
            item = {"field": "url", "code": error.code.value, "detail": error.detail}
            raise ProblemError(INVALID_REQUEST, f"url: {error.detail}", [item]) from error
        return url
