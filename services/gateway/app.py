"""The application factory. Nothing connects before the lifespan begins."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from fastapi import FastAPI

from services.gateway.http.context import RequestContext
from services.gateway.http.protocol import HEADER_SECONDS, ON_SHUTDOWN
from services.gateway.http.responses import add_problem_handlers
from services.gateway.http.upload_guard import UploadGuard, UploadLimits
from services.gateway.openapi.document import DESCRIPTION, TAGS, install_openapi
from services.gateway.routes import (
    catalogs,
    docs,
    drift,
    evidence,
    images,
    job_list,
    jobs,
    keys,
    operation,
    predict,
    problems,
    webhook_deliveries,
    webhooks,
)
from services.gateway.settings import GatewaySettings
from services.gateway.version import VERSION
from services.gateway.wiring import open_gateway

# What a multipart body has besides the file: boundaries, part headers, short fields.
_ENVELOPE_BYTES = 64 * 1024


def create_app(settings: GatewaySettings) -> FastAPI:
    """Return the gateway; its servers are opened by the lifespan."""

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[Mapping[str, object]]:
        async with open_gateway(settings) as gateway:
            yield {
                "gateway": gateway,
                ON_SHUTDOWN: gateway.listener.close,
                HEADER_SECONDS: settings.gateway_header_seconds,
            }

    app = FastAPI(
        title="AI product photo detector",
        version=VERSION,
        description=DESCRIPTION,
        openapi_tags=TAGS,
        license_info={"name": "MIT", "identifier": "MIT"},
        lifespan=lifespan,
        # FastAPI's pages load scripts from a public CDN: see routes/docs.py.
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        # `/jobs/` is not `/jobs`: a redirected upload would be sent twice.
        redirect_slashes=False,
    )
    add_problem_handlers(app)
    app.add_middleware(UploadGuard, limits=_upload_limits(settings))
    app.add_middleware(RequestContext)  # added last, so it is the outermost
    for module in (
        jobs,
        job_list,
        images,
        evidence,
        predict,
        catalogs,
        webhooks,
        webhook_deliveries,
        drift,
        keys,
        operation,
        problems,
        docs,
    ):
        app.include_router(module.router)
    docs.mount_assets(app)
    install_openapi(app)
    app.openapi()  # now: building it takes too long for the event loop
    return app


def _upload_limits(settings: GatewaySettings) -> UploadLimits:
    return UploadLimits(
        bytes_by_path={
            "/jobs": settings.gateway_max_request_bytes,
            "/catalogs": settings.gateway_max_catalog_bytes + _ENVELOPE_BYTES,
            "/predict": settings.gateway_max_image_bytes + _ENVELOPE_BYTES,
        },
        other_bytes=_ENVELOPE_BYTES,
        idle_seconds=settings.gateway_upload_idle_seconds,
        total_seconds=settings.gateway_upload_total_seconds,
    )
