"""`/images/{image_id}/heatmap`, `/images/{image_id}/evidence` and `/evidence/keys`."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Response
from fastapi.responses import JSONResponse

from services.gateway.access.auth import Reader
from services.gateway.dependencies import GatewayDep
from services.gateway.http import problems
from services.gateway.openapi.document import keyed_docs, problem_docs
from services.gateway.openapi.examples.images import KEYS_EXAMPLE, PENDING_EXAMPLE
from services.gateway.routes.images import read_image
from services.gateway.waiting.heatmaps import find_heatmap
from services.gateway.wiring import Gateway
from shared.contracts.wire.evidence import EvidenceKeyList, EvidencePublicKey
from shared.contracts.wire.images import HeatmapPending
from shared.core.errors import ObjectCorrupt, ObjectMissing
from shared.db.images.feedback import list_feedback
from shared.db.images.rows import ImageView
from shared.keys.evidence import ALGORITHM
from shared.present.evidence import write_bundle
from shared.present.images import image_body, image_path
from shared.present.jobs import review_body
from shared.storage.port import sha256_hex

router = APIRouter(tags=["images"])

_DEFAULT_WAIT = 10
_MAX_WAIT = 30
_MAX_REVIEWS = 1000
_WAIT = Query(ge=0, le=_MAX_WAIT, description="Seconds to wait for the heatmap to be made.")
_RETRY_AFTER = {"description": "Seconds until a look is worth while.", "schema": {"type": "string"}}
_BINARY = {"schema": {"type": "string", "format": "binary"}}


@router.get(
    "/images/{image_id}/heatmap",
    operation_id="get_heatmap",
    summary="See why a photo was judged so",
    description="A PNG of what the network saw of the photo: orange where it pulled to"
    " AI-generated, blue where to real. It shows where the model looked, not which parts were"
    " manipulated. Made when first asked for, by the model version that judged the photo, and kept;"
    " while it is being made the answer is 202.",
    response_class=Response,
    responses={
        200: {
            "description": "The heatmap.",
            "content": {"image/png": _BINARY},
            "headers": {
                "Model-Version": {
                    "description": "The model that judged.",
                    "schema": {"type": "string"},
                },
                "ETag": {"description": "Of the picture.", "schema": {"type": "string"}},
            },
        },
        202: {
            "description": "It is being made.",
            "model": HeatmapPending,
            "headers": {"Retry-After": _RETRY_AFTER},
            "content": {"application/json": {"example": PENDING_EXAMPLE}},
        },
        **keyed_docs(
            problems.NOT_FOUND,
            problems.NO_HEATMAP,
            problems.INVALID_REQUEST,
            problems.STORAGE_UNAVAILABLE,
        ),
    },
)
async def get_heatmap(
    image_id: UUID,
    gateway: GatewayDep,
    caller: Reader,
    wait: Annotated[float, _WAIT] = _DEFAULT_WAIT,
) -> Response:
    """Answer with the stored heatmap, or have it made and wait for it."""
    view = await read_image(gateway, caller.tenant_id, image_id)
    png = await find_heatmap(gateway, view, wait)
    version = view.verdict.model_version if view.verdict else ""
    if png is None:
        return _pending(image_id, version)
    etag = f'"{sha256_hex(png)}"'
    headers = {"Model-Version": version, "ETag": etag, "Cache-Control": "private, no-cache"}
    return Response(png, media_type="image/png", headers=headers)


def _pending(image_id: UUID, version: str) -> Response:
    body = HeatmapPending(
        status="queued",
        image_id=image_id,
        model_version=version,
        links={"self": f"{image_path(image_id)}/heatmap"},
    )
    return JSONResponse(body.model_dump(mode="json"), status_code=202, headers={"Retry-After": "1"})


@router.get(
    "/images/{image_id}/evidence",
    operation_id="get_evidence",
    summary="Download everything about a photo's verdict",
    description="A ZIP file that stands on its own: the photo's bytes, `evidence.json` with hashes,"
    " verdicts, what they were judged with, evidence and reviews, the heatmap, and a README."
    " `detector evidence verify FILE` computes the verdict again from it. Signed when the gateway"
    " has a key: see `GET /evidence/keys`.",
    response_class=Response,
    responses={
        200: {
            "description": "The bundle.",
            "content": {"application/zip": _BINARY},
            "headers": {
                "Content-Disposition": {
                    "description": "Names the file.",
                    "schema": {"type": "string"},
                }
            },
        },
        **keyed_docs(
            problems.NOT_FOUND,
            problems.IMAGE_UNFINISHED,
            problems.EVIDENCE_GONE,
            problems.INVALID_REQUEST,
            problems.STORAGE_UNAVAILABLE,
        ),
    },
)
async def get_evidence(
    image_id: UUID,
    gateway: GatewayDep,
    caller: Reader,
    wait: Annotated[float, _WAIT] = _DEFAULT_WAIT,
) -> Response:
    """Bundle what is known of the photo."""
    view = await read_image(gateway, caller.tenant_id, image_id)
    if view.verdict is None:
        raise problems.ProblemError(
            problems.IMAGE_UNFINISHED, f"image {image_id} is {view.image.status}, without verdict"
        )
    photo = await _photo(gateway, view)
    heatmap, absent = await _heatmap(gateway, view, wait)
    reviews = await gateway.in_database(
        lambda session: list_feedback(session, image_id, _MAX_REVIEWS)
    )
    bundle = await gateway.in_store(
        lambda: write_bundle(
            image_body(view),
            [review_body(each) for each in reviews],
            photo,
            heatmap,
            absent,
            gateway.signer,
        )
    )
    name = f'attachment; filename="evidence-{image_id}.zip"'
    return Response(bundle, media_type="application/zip", headers={"Content-Disposition": name})


@router.get(
    "/evidence/keys",
    operation_id="list_evidence_keys",
    summary="Keys that sign evidence bundles",
    description="Public, and asked for without an API key: whoever is shown a bundle can check that"
    " it comes from here and was not changed since. Keep a copy of your own, or compare `key_id`"
    " over another way: a bundle's own copy of the key proves nothing by itself.",
    response_description="The current key, then those that signed before.",
    responses={
        200: {"content": {"application/json": {"example": KEYS_EXAMPLE}}},
        **problem_docs(problems.INTERNAL_ERROR),
    },
)
async def list_evidence_keys(gateway: GatewayDep) -> EvidenceKeyList:
    """List the public keys."""
    signer = gateway.signer
    keys = signer.public_keys if signer else []
    return EvidenceKeyList(
        data=[
            EvidencePublicKey(
                key_id=key.id, algorithm=ALGORITHM, public_key=key.pem, current=number == 0
            )
            for number, key in enumerate(keys)
        ]
    )


async def _photo(gateway: Gateway, view: ImageView) -> bytes:
    image = view.image
    key, sha256 = image.object_key or "", image.sha256 or ""
    try:
        return await gateway.in_store(lambda: gateway.store.get(key, image.size, sha256))
    except (ObjectMissing, ObjectCorrupt) as error:
        raise problems.ProblemError(
            problems.EVIDENCE_GONE, f"the bytes of image {image.id} are gone"
        ) from error


async def _heatmap(
    gateway: Gateway, view: ImageView, wait: float
) -> tuple[bytes | None, str | None]:
    """Return the heatmap, or why the bundle goes without it."""
    try:
        png = await find_heatmap(gateway, view, wait)
    except problems.ProblemError as error:
        return None, error.detail
    return png, None if png else f"it was not made within {wait:g} seconds"
