"""What operators asked to compare with: carried out before the next windows are looked at."""

from services.drift.reference.evaluation import from_evaluation
from services.drift.reference.frozen import NoReference, freeze
from services.drift.run.check import slow_reading
from services.drift.settings import DriftSettings
from shared.contracts.drift import ReferenceChoice
from shared.core.errors import DetectorError
from shared.core.logging import get_logger
from shared.db.drift.counts import Span
from shared.db.drift.references import NewReference, store_reference
from shared.db.drift.requests import finish_request, pending_requests
from shared.db.drift.runs import database_time
from shared.db.engine import SessionFactory
from shared.db.models import DriftReferenceRequest
from shared.ml.spec import ModelManifest

log = get_logger(__name__)


def carry_out(sessions: SessionFactory, settings: DriftSettings) -> None:
    """Carry out every pending request: its reference and its end in one transaction.

    One that cannot be is finished with the reason, and what was compared with stays.
    """
    with sessions() as session:
        pending = pending_requests(session)
    for request in pending:
        made, error = None, None
        try:
            made = _made(sessions, settings, request)
        except DetectorError as reason:
            error = str(reason)
        except Exception as reason:
            # Whatever it is: a request must not keep windows from being checked.
            log.exception("drift.request_failed", model_version=request.model_version)
            error = f"{type(reason).__name__}: {reason}"
        with sessions.begin() as session:
            # First the request: where it was finished meanwhile, nothing is stored.
            if finish_request(session, request.id, error) and made is not None:
                store_reference(session, made)
        log.info(
            "drift.reference_requested",
            model_version=request.model_version,
            choice=request.choice,
            photos=made.photos if made else None,
            error=error,
        )


def _made(
    sessions: SessionFactory, settings: DriftSettings, request: DriftReferenceRequest
) -> NewReference | None:
    """Return the reference that is asked for; None for what the service makes by itself."""
    choice = ReferenceChoice(request.choice)
    if choice is ReferenceChoice.AUTOMATIC:
        return None
    if choice is ReferenceChoice.WINDOW:
        return _of_window(sessions, settings, request)
    if request.evaluation is None or request.ai_share is None:
        raise NoReference("the request brought no photos")
    manifest = ModelManifest.model_validate(request.manifest)
    return from_evaluation(manifest, request.evaluation, request.ai_share, request.id)


def _of_window(
    sessions: SessionFactory, settings: DriftSettings, request: DriftReferenceRequest
) -> NewReference:
    if request.window_start is None or request.window_end is None:
        raise NoReference("the request names no window")
    span = Span(request.model_version, request.window_start, request.window_end)
    with sessions() as session:
        slow_reading(session, settings)
        if span.end > database_time(session):
            raise NoReference("the window is not over yet")
        made = freeze(session, span, request.id)
    if made.photos < settings.drift_reference_photos:
        raise NoReference(
            f"the window holds {made.photos} photos, a reference needs"
            f" {settings.drift_reference_photos} (DETECTOR_DRIFT_REFERENCE_PHOTOS)"
        )
    return made
