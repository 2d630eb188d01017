"""Records a training run in MLflow: parameters, curves, data, code, device, package.

`history.jsonl` in the run's directory stays the truth. MLflow is told what stands in it, so a
server that is away for an hour costs no curve, and a stopped run goes on in the same MLflow run.
"""

import json
import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import yaml

from services.training.config import RunConfig
from services.training.data.photos import Row, Splits, fingerprint
from services.training.fit.training import HISTORY, Progress, device_of
from services.training.package.write import git_revision
from services.training.pipeline import Run
from services.training.settings import TrainingSettings
from shared.ml.package import load_package
from shared.registry.errors import RegistryError
from shared.registry.mlflow_client import open_client, shown, told
from shared.registry.records import CHALLENGER, TAG_DATA, TAG_GIT, ModelVersion
from shared.registry.registry import ModelRegistry, ensure_experiment

if TYPE_CHECKING:
    from mlflow import MlflowClient

RUN_FILE = "mlflow.json"
_MAX_PARAMS_PER_CALL = 100
Say = Callable[[str], None]


@dataclass(slots=True)
class _Link:
    """Which MLflow run a directory belongs to, and how many lines of its history it has."""

    uri: str
    run_id: str
    lines: int = 0


class RunTracker:
    """A context around one training run. An empty URI turns it into one that does nothing.

    Losing MLflow never ends a training: it is said once, and what is missing is written at the next
    chance. Only `register` raises RegistryError.
    """

    def __init__(self, run: Run, settings: TrainingSettings, say: Say) -> None:
        self._run = run
        self._uri = settings.mlflow_tracking_uri
        self._registry = ModelRegistry(self._uri, settings.mlflow_model_name)
        self._say = say
        self._said = False
        self._seen_bytes = 0
        self._client: MlflowClient | None = None
        self._link: _Link | None = None

    def __enter__(self) -> Self:
        self._try(lambda _client, _link: None)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self.log_history()
        if kind is None:
            status = "FINISHED"
        else:
            status = "FAILED" if issubclass(kind, Exception) else "KILLED"
        self._try(lambda client, link: client.set_terminated(link.run_id, status))

    def following(self, progress: Progress) -> Progress:
        """Return `progress` that also sends each new round of the history to MLflow."""

        def call(share: float, line: str) -> None:
            progress(share, line)
            path = self._run.directory / HISTORY
            size = path.stat().st_size if path.exists() else 0
            if size != self._seen_bytes:
                self._seen_bytes = size
                self.log_history()

        return call

    def log_round(self, step: int, values: Mapping[str, float]) -> None:
        """Add one point to the curve of each of `values`; `step` is the round."""
        self._try(lambda client, link: _log_metrics(client, link.run_id, values, step))

    def log_history(self) -> None:
        """Send the lines of the history that MLflow does not have yet."""
        self._try(self._send_history)

    def register(self, package: Path) -> ModelVersion | None:
        """Log the finished package and its numbers, and register it as the challenger.

        None when tracking is off. Raises RegistryError, PackageError.
        """
        if not self._uri:
            return None
        manifest = load_package(package).manifest
        client, link = self._open()
        with told("logging the package"):
            _log_metrics(
                client,
                link.run_id,
                {name.replace(".", "/"): value for name, value in manifest.metrics.items()},
                0,
            )
            client.set_tag(link.run_id, "package.version", manifest.version)
            history = self._run.directory / HISTORY
            if history.exists():
                client.log_artifact(link.run_id, str(history))
        version = self._registry.register(package, link.run_id)
        self._registry.set_alias(CHALLENGER, version.number)
        return version

    def _send_history(self, client: "MlflowClient", link: _Link) -> None:
        path = self._run.directory / HISTORY
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        for line in lines[link.lines :]:
            record = json.loads(line)
            step = int(record.pop("round"))
            _log_metrics(client, link.run_id, record, step)
            link.lines += 1
        self._keep(link)

    def _try(self, act: "Callable[[MlflowClient, _Link], None]") -> None:
        """Do something in MLflow; where that fails, say so once and go on."""
        if not self._uri:
            return
        try:
            client, link = self._open()
            with told("writing to MLflow"):
                act(client, link)
        except RegistryError as error:
            if not self._said:
                self._say(f"MLflow does not record this run for now: {error}")
            self._said = True

    def _open(self) -> "tuple[MlflowClient, _Link]":
        """Continue the directory's MLflow run, or begin one."""
        if self._client is not None and self._link is not None:
            return self._client, self._link
        client = open_client(self._uri, create=True)
        link = self._known(client)
        if link is None:
            link = _Link(self._uri, self._begin(client))
        with told("continuing the MLflow run"):
            client.update_run(link.run_id, "RUNNING")
            _log_missing_params(client, link.run_id, self._run.config)
            for key, value in _tags(self._run).items():
                client.set_tag(link.run_id, key, value)
        self._client, self._link = client, link
        self._keep(link)
        self._say(f"MLflow run {link.run_id} in {shown(self._uri)}")
        return client, link

    def _known(self, client: "MlflowClient") -> _Link | None:
        try:
            link = _Link(**json.loads((self._run.directory / RUN_FILE).read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            return None
        if link.uri != self._uri:
            return None
        try:
            with told("looking for the MLflow run"):
                client.get_run(link.run_id)
        except RegistryError:  # deleted, or another store at the same address
            return None
        return link

    def _begin(self, client: "MlflowClient") -> str:
        config = self._run.config
        experiment = ensure_experiment(client, self._uri, config.package.name)
        with told("beginning an MLflow run"):
            run = client.create_run(experiment, run_name=config.package.version)
            client.log_text(
                run.info.run_id,
                yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False),
                "config.yaml",
            )
        return str(run.info.run_id)

    def _keep(self, link: _Link) -> None:
        self._run.directory.mkdir(parents=True, exist_ok=True)
        (self._run.directory / RUN_FILE).write_text(json.dumps(asdict(link)), encoding="utf-8")


def flattened(config: RunConfig) -> dict[str, str]:
    """Return every field as {"section.field": text}; lists and mappings are JSON."""
    return dict(_flatten("", config.model_dump(mode="json")))


def _flatten(prefix: str, value: Any) -> Iterator[tuple[str, str]]:
    # An open mapping, such as the weights of extra splits, is one value: its keys vary.
    if isinstance(value, dict) and value and prefix.count(".") < 2:
        for key, inner in value.items():
            yield from _flatten(f"{prefix}{key}.", inner)
    else:
        text = value if isinstance(value, str) else json.dumps(value)
        yield prefix.removesuffix("."), text


def _log_missing_params(client: "MlflowClient", run_id: str, config: RunConfig) -> None:
    """Log parameters; one that a resumed run has already keeps its value, as MLflow demands."""
    from mlflow.entities import Param  # noqa: PLC0415  # see open_client

    known = client.get_run(run_id).data.params
    params = [Param(key, value) for key, value in flattened(config).items() if key not in known]
    for start in range(0, len(params), _MAX_PARAMS_PER_CALL):
        client.log_batch(run_id, params=params[start : start + _MAX_PARAMS_PER_CALL])


def _log_metrics(
    client: "MlflowClient", run_id: str, values: Mapping[str, object], step: int
) -> None:
    from mlflow.entities import Metric  # noqa: PLC0415  # see open_client

    now = int(time.time() * 1000)
    metrics = [
        Metric(key, float(value), now, step)
        for key, value in values.items()
        # bool is an int; a NaN is no point on a curve.
        if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    ]
    client.log_batch(run_id, metrics=metrics)


def _tags(run: Run) -> dict[str, str]:
    revision = git_revision() or ""
    return {
        TAG_DATA: fingerprint(_used(run.splits)),
        TAG_GIT: revision.removesuffix("-dirty"),
        "git.dirty": str(revision.endswith("-dirty")).lower(),
        "device": str(device_of(run.config.fit.device)),
        "photos.train": str(len(run.splits.train)),
        "photos.validation": str(len(run.splits.validation)),
    }


def _used(splits: Splits) -> Iterable[Row]:
    rows = [*splits.train, *splits.validation]
    rows += [row for test in splits.test.values() for row in test]
    return {row.path: row for row in rows}.values()
