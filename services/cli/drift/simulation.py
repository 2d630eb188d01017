"""`detector drift simulate`: stored verdicts of a tenant and model version made for it alone.

They are dated back, so that the running drift service finds a day of reference and then windows
that have all ended: it checks them at its next look, with its own settings.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from services.cli.drift.populations import Copies, Drawn, NewGenerator, Ordinary, Population
from services.cli.output import fail, say
from services.cli.servers import database_session, server_settings
from shared.contracts.drift import SIMULATION, Cause, Severity
from shared.contracts.scopes import Scope
from shared.settings.drift import DriftWindowSettings

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from shared.client.http import DetectorClient
    from shared.contracts.wire.drift import DriftReportDetail

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_POLL_SECONDS = 1.0
_KEY_LIFE = timedelta(days=1)
# More than the service needs, so that chance leaves no window too small.
_MARGIN = 1.2


@dataclass(frozen=True, slots=True)
class Plan:
    """What is rehearsed: `shift` is `generator`, `jpeg-quality` or `none`."""

    shift: str
    # Part of the photos of each of the last `windows` windows that are of the new kind.
    share: float
    windows: int
    seed: int


@dataclass(frozen=True, slots=True)
class Timeline:
    """One quiet window follows the reference, then `shifted` ones; `end` is a multiple of step."""

    step: timedelta
    reference_slots: int
    shifted: int
    end: datetime

    @property
    def start(self) -> datetime:
        """When the reference begins."""
        return self.end - (self.reference_slots + 1 + self.shifted) * self.step


def remove() -> None:
    """Remove every simulation."""
    from shared.db.drift.simulation import remove_simulations

    with database_session() as session:
        remove_simulations(session)


def timeline(now: datetime, settings: DriftWindowSettings, shifted: int) -> Timeline:
    """Return windows that have all ended, and settled, by `now`."""
    step = timedelta(seconds=settings.drift_window_seconds)
    settled = now - timedelta(seconds=settings.drift_settle_seconds + 1)
    slots = -(-settings.drift_first_reference_seconds // settings.drift_window_seconds)
    return Timeline(step, int(slots), shifted, settled - (settled - _EPOCH) % step)


def service_settings() -> DriftWindowSettings:
    """Return the drift service's settings as this environment has them; exits with 2 on others."""
    known: dict[str, Any] = {
        name.removeprefix("DETECTOR_").lower(): text for name, text in server_settings().items()
    }
    try:
        return DriftWindowSettings(**known)
    except ValidationError as error:
        wrong = error.errors()[0]
        fail(f"DETECTOR_{wrong['loc'][0]}".upper() + f": {wrong['msg']}; not {wrong['input']!r}.")


class Simulation:
    """One rehearsal; earlier ones are removed when it is stored."""

    def __init__(self, plan: Plan, dataset: Path | None) -> None:
        self.plan = plan
        self.model_version = f"{SIMULATION}-{plan.shift}-{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
        self._dataset = dataset
        self._key = ""
        self._end: datetime | None = None

    def client(self) -> "DetectorClient":
        """Return a client with a key of the simulation's tenant; use it in a `with` block."""
        from shared.client.config import ClientConfig, load_client_config
        from shared.client.http import DetectorClient

        return DetectorClient(ClientConfig(load_client_config().url, self._key))

    def store(self) -> None:
        """Store everything that the service is to find."""
        rng = Random(self.plan.seed)
        settings = service_settings()
        remove()
        self._open_tenant()
        ordinary, shifted = self._populations(rng)
        with database_session() as session:
            from shared.db.drift.runs import database_time

            times = timeline(database_time(session), settings, self.plan.windows)
            photos = list(draw_photos(self.plan, times, settings, (ordinary, shifted), rng))
            self._insert(session, photos)
        self._end = times.end
        say(f"stored {len(photos)} verdicts of model {self.model_version}")

    def wait(self, seconds: float) -> bool:
        """Return whether the service has checked the last window within `seconds`."""
        deadline = time.monotonic() + seconds
        say("waiting for the drift service")
        with self.client() as client:
            while time.monotonic() < deadline:
                overview = client.drift.status()
                if any(state.checked_until == self._end for state in overview.data):
                    return True
                time.sleep(_POLL_SECONDS)
        return False

    def is_named(self, report: "DriftReportDetail") -> bool:
        """Say whether the last report tells what was simulated."""
        if self.plan.shift == "none":
            return report.severity is Severity.NONE
        if report.severity is Severity.NONE:
            return False
        if self.plan.shift == "jpeg-quality":
            return report.cause.kind is Cause.INPUT_SHIFT
        return report.cause.model_relevant

    def _open_tenant(self) -> None:
        from shared.db.tenants.keys import get_or_create_tenant, issue_key

        with database_session() as session:
            tenant_id = get_or_create_tenant(session, SIMULATION)
            issued = issue_key(
                session,
                tenant_id,
                "detector drift simulate",
                [Scope.JOBS_READ, Scope.JOBS_WRITE],
                datetime.now(UTC) + _KEY_LIFE,
            )
        self._key = issued.key

    def _populations(self, rng: Random) -> tuple[Population, Population]:
        """Return ordinary photos, and those that the shift brings."""
        low_quality = self.plan.shift == "jpeg-quality"
        if self._dataset is None:
            other = Ordinary(low_quality=True) if low_quality else NewGenerator()
            return Ordinary(), other
        from services.cli.drift import dataset

        with self.client() as client:
            ordinary = Copies(dataset.judge_ordinary(client, self._dataset, rng))
            if self.plan.shift == "none":
                return ordinary, ordinary
            judge = dataset.judge_low_quality if low_quality else dataset.judge_unseen
            return ordinary, Copies(judge(client, self._dataset, rng))

    def _insert(self, session: "Session", drawn: Sequence[Drawn]) -> None:
        from shared.db.drift.simulation import point_to
        from shared.db.drift.synthetic import insert_synthetic
        from shared.db.tenants.keys import get_or_create_tenant

        tenant_id = get_or_create_tenant(session, SIMULATION)
        photos = [each.photo for each in drawn]
        ids = insert_synthetic(session, tenant_id, self.model_version, photos)
        copies = [
            (image_id, each.original)
            for image_id, each in zip(ids, drawn, strict=True)
            if each.original is not None
        ]
        point_to(session, [image_id for image_id, _ in copies], [photo for _, photo in copies])


def draw_photos(
    plan: Plan,
    times: Timeline,
    settings: DriftWindowSettings,
    populations: tuple[Population, Population],
    rng: Random,
) -> Iterator[Drawn]:
    """Yield every photo of the timeline, each in a job of its own."""
    ordinary, shifted = populations
    smallest = settings.drift_min_photos
    needed = max(settings.drift_reference_photos, smallest) * _MARGIN
    per_window = round(max(settings.drift_window_photos, smallest) * _MARGIN)
    per_slot = round(needed / times.reference_slots) + 1
    job = 0
    for slot in range(times.reference_slots + 1 + times.shifted):
        begin = times.start + slot * times.step
        windows_in = slot - times.reference_slots
        share = plan.share if windows_in >= 1 and plan.shift != "none" else 0.0
        number = per_slot if windows_in < 0 else per_window
        for place in range(number):
            population = shifted if rng.random() < share else ordinary
            # From the slot's very begin on: the service takes the first verdict for the begin.
            yield population.draw(rng, begin + times.step * (place / number), job)
            job += 1
