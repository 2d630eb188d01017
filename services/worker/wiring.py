"""Wires one worker process."""

from dataclasses import dataclass, replace

from celery import Celery
from sqlalchemy import Engine as DatabaseEngine

from services.worker.bulk import BulkConsumers
from services.worker.chunk import ChunkProcessor
from services.worker.engines.select import load_engine
from services.worker.inference.heatmaps import HeatmapMaker
from services.worker.inference.heatmaps import register as register_heatmaps
from services.worker.inference.model_watch import ModelWatch, Source, first_model
from services.worker.inference.pipeline import InferencePipeline
from services.worker.inference.serving import LoadedModel, Loader, ModelServer
from services.worker.leases import LeaseKeeper
from services.worker.provenance.verdict import Provenance
from services.worker.settings import WorkerSettings
from services.worker.tasks import register, run_chunk
from shared.db.engine import make_engine, make_session_factory
from shared.ml.errors import PackageError
from shared.ml.package import ModelPackage
from shared.queue.app import make_celery
from shared.registry.registry import ModelRegistry
from shared.storage.port import ObjectStore
from shared.storage.s3 import S3ObjectStore


@dataclass(frozen=True, slots=True)
class Worker:
    """The object graph of a worker; `close` ends its threads and connections."""

    celery: Celery
    server: ModelServer
    watch: ModelWatch | None
    processor: ChunkProcessor
    keeper: LeaseKeeper
    bulk: BulkConsumers
    database: DatabaseEngine

    def close(self) -> None:
        """Finish what is under way, then release everything."""
        if self.watch:
            self.watch.close()
        self.bulk.join()
        self.server.close()
        self.keeper.close()
        self.database.dispose()


def build_worker(settings: WorkerSettings) -> Worker:
    """Load the model, warm it up and wire the rest.

    Raises PackageError or NoEngineError when the model cannot be used.
    """
    store = S3ObjectStore.from_settings(settings, settings.worker_fetch_threads)
    loader = model_loader(settings, store)
    source = _source(settings)
    server = ModelServer(first_model(source, settings.model_dir, loader))
    watch = ModelWatch(source, server, loader, settings.worker_model_poll_s) if source else None
    if watch:
        watch.start()
    database = make_engine(
        settings.database_url.get_secret_value(), settings.database_pool_size, "worker"
    )
    sessions = make_session_factory(database)
    keeper = LeaseKeeper(sessions, settings.worker_lease_seconds)
    processor = ChunkProcessor(
        sessions,
        server,
        keeper,
        settings.worker_lease_seconds,
        reuse=settings.worker_reuse_verdicts,
    )
    celery = make_celery(settings.redis_url.get_secret_value(), "worker")
    celery.conf.worker_soft_shutdown_timeout = settings.worker_shutdown_seconds
    register(celery, processor)
    register_heatmaps(celery, HeatmapMaker(sessions, server, store))
    bulk = BulkConsumers(
        celery,
        lambda ids: run_chunk(processor, ids),
        settings.worker_bulk_concurrency,
        settings.worker_shutdown_seconds,
    )
    return Worker(celery, server, watch, processor, keeper, bulk, database)


def model_loader(settings: WorkerSettings, store: ObjectStore) -> Loader:
    """Return a function that loads a package, warms it up and puts a pipeline around it."""

    def load(package: ModelPackage, digest: str) -> LoadedModel:
        package = at_budget(package, settings.worker_false_accusation_budget)
        engine = load_engine(package, settings)
        pipeline = InferencePipeline(
            store,
            package,
            engine,
            settings.worker_fetch_threads,
            settings.worker_decode_threads,
            settings.worker_batch_wait_ms / 1000,
            settings.worker_max_pixels,
            settings.worker_bulk_threads,
            settings.worker_decode_bytes,
            provenance=Provenance(
                settings.worker_provenance_conclusive,
                settings.worker_provenance_trust_anchors,
                settings.worker_provenance_seconds,
            ),
            digest=digest,
        )
        return LoadedModel(package, digest, engine, pipeline)

    return load


def at_budget(package: ModelPackage, budget: float | None) -> ModelPackage:
    """Return `package` with its thresholds for `budget`; None leaves its default.

    Raises PackageError that names the budgets which the package has.
    """
    if budget is None:
        return package
    try:
        return replace(package, manifest=package.manifest.at_budget(budget))
    except ValueError as error:
        raise PackageError(f"{error}. Set DETECTOR_WORKER_FALSE_ACCUSATION_BUDGET.") from error


def _source(settings: WorkerSettings) -> Source | None:
    alias = settings.worker_model_alias
    if not alias:
        return None
    registry = ModelRegistry(settings.mlflow_tracking_uri, settings.mlflow_model_name)
    return Source(registry, alias, settings.model_cache_dir)
