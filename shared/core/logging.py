"""structlog, configured once per process: JSON lines in containers, columns in a terminal.

Standard-library records (uvicorn, celery, sqlalchemy) go through the same formatter. Event names
are constant, facts are keywords: `log.info("request.finished", status=202)`.
"""

import logging
import logging.config
from typing import Any, Literal

import structlog
from structlog.typing import Processor

_SHARED: list[Processor] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    structlog.processors.StackInfoRenderer(),
]
# Chatty third parties: their info lines repeat our canonical ones.
_QUIET = {
    "uvicorn.access": "ERROR",
    "urllib3": "WARNING",
    "celery.app.trace": "WARNING",
    "celery.worker.strategy": "WARNING",
    "celery.worker.request": "WARNING",
    "celery.beat": "WARNING",
    "alembic": "WARNING",
}


def configure_logging(service: str, level: str, log_format: Literal["json", "console"]) -> None:
    """Route structlog and stdlib records of this process to stdout in `log_format`.

    `service` is bound to every line. Call once, from the process's entry point.
    """
    renderers: list[Processor] = (
        [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
        if log_format == "json"
        # Plain: the default shows every frame's variables, API keys among them, and takes seconds.
        else [structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)]
    )
    logging.config.dictConfig(_stdlib_config(level.upper(), renderers))
    structlog.configure(
        processors=[*_SHARED, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    structlog.contextvars.bind_contextvars(service=service)
    # Threads start with an empty context: the service name must reach their lines as well.
    _SERVICE["name"] = service


_SERVICE: dict[str, str] = {}


def _add_service(_logger: Any, _method: str, event: Any) -> Any:
    if "service" not in event and "name" in _SERVICE:
        event["service"] = _SERVICE["name"]
    return event


def _stdlib_config(level: str, renderers: list[Processor]) -> dict[str, Any]:
    formatter: dict[str, Any] = {
        "()": structlog.stdlib.ProcessorFormatter,
        "processors": [
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            _add_service,
            *renderers,
        ],
        "foreign_pre_chain": _SHARED,
    }
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"structlog": formatter},
        "handlers": {
            "stdout": {
                "class": "logging.StreamHandler",
                "stream": "ext://sys.stdout",
                "formatter": "structlog",
            }
        },
        "root": {"handlers": ["stdout"], "level": level},
        "loggers": {
            **{name: {"level": quiet} for name, quiet in _QUIET.items()},
            **{
                name: {"handlers": [], "propagate": True}
                for name in ("uvicorn", "uvicorn.error", "celery")
            },
        },
    }


def get_logger(name: str) -> structlog.stdlib.BoundLogger:
    """Return the logger of module `name`."""
    logger: structlog.stdlib.BoundLogger = structlog.get_logger(name)
    return logger
