"""`/docs`: the API reference to try calls in, served without any request to the outside."""

from importlib import resources

from fastapi import APIRouter, FastAPI, Request
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import HTMLResponse, RedirectResponse
from starlette.staticfiles import StaticFiles

router = APIRouter(include_in_schema=False)

_ASSETS = "/docs/assets"
# FastAPI's own page loads these from a public CDN; a self-hosted service must not.
_PACKAGE = "fastapi_standalone_docs"


@router.get("/")
async def to_docs() -> RedirectResponse:
    """Lead a person who opened the bare address to the reference."""
    return RedirectResponse("/docs")


@router.get("/docs")
async def swagger_page(request: Request) -> HTMLResponse:
    """Swagger UI on this gateway's own OpenAPI document."""
    return get_swagger_ui_html(
        openapi_url="/openapi.json",
        title=f"{request.app.title}: API",
        swagger_js_url=f"{_ASSETS}/swagger/swagger-ui-bundle.js",
        swagger_css_url=f"{_ASSETS}/swagger/swagger-ui.css",
        swagger_favicon_url=f"{_ASSETS}/fastapi/favicon.png",
        swagger_ui_parameters={
            "tryItOutEnabled": True,
            "persistAuthorization": True,
            "displayRequestDuration": True,
        },
    )


def mount_assets(app: FastAPI) -> None:
    """Serve the page's script and style from the installed package."""
    directory = resources.files(_PACKAGE) / "static"
    app.mount(_ASSETS, StaticFiles(directory=str(directory)), name="docs-assets")
