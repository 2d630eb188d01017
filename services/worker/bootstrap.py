"""Wires one worker process."""

from dataclasses import dataclass

from celery import Celery
from sqlalchemy import Engine as DatabaseEngine

from services.worker.chunk import ChunkProcessor
from services.worker.engines.port import Engine
from services.worker.engines.select import load_engine
from services.worker.leases import LeaseKeeper
from services.worker.metrics import MODEL
from services.worker.pipeline import InferencePipeline
from services.worker.settings import WorkerSettings
from services.worker.tasks import register
from shared.db.engine import make_engine, make_session_factory
from shared.ml.package import ModelPackage, load_package
from shared.queue.app import make_celery
from shared.storage.s3 import S3ObjectStore


@dataclass(frozen=True, slots=True)
class Worker:
    """The object graph of a worker; `close` ends its threads and connections."""

    celery: Celery
    package: ModelPackage
    engine: Engine
    processor: ChunkProcessor
    pipeline: InferencePipeline
    keeper: LeaseKeeper
    database: DatabaseEngine

    def close(self) -> None:
        """Finish what is under way, then release everything."""
        self.pipeline.close()
        self.keeper.close()
        self.database.dispose()


def build_worker(settings: WorkerSettings) -> Worker:
    """Load the model, warm it up and wire the rest.

    Raises PackageError or NoEngineError when the model cannot be used.
    """
    package = load_package(settings.model_dir)
    engine = load_engine(package, settings)
    MODEL.labels(package.manifest.version, engine.name).set(1)
    database = make_engine(
        settings.database_url.get_secret_value(), settings.database_pool_size, "worker"
    )
    sessions = make_session_factory(database)
    pipeline = InferencePipeline(
        S3ObjectStore.from_settings(settings, settings.worker_fetch_threads),
        package,
        engine,
        settings.worker_fetch_threads,
        settings.worker_decode_threads,
        settings.worker_batch_wait_ms / 1000,
        settings.worker_max_pixels,
    )
    keeper = LeaseKeeper(sessions, settings.worker_lease_seconds)
    processor = ChunkProcessor(sessions, pipeline, keeper, settings.worker_lease_seconds)
    celery = make_celery(settings.redis_url.get_secret_value(), "worker")
    celery.conf.worker_soft_shutdown_timeout = settings.worker_shutdown_seconds
    register(celery, processor)
    return Worker(celery, package, engine, processor, pipeline, keeper, database)
