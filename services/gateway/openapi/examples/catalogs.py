"""Examples of the catalogs API in the OpenAPI document."""

from typing import Any

_ID = "0199f3c2-70aa-7b11-8d20-6b8f1f0c2e31"
CATALOG_EXAMPLE: dict[str, Any] = {
    "id": _ID,
    "status": "running",
    "format": "csv",
    "filename": "november.csv",
    "s3_prefix": None,
    "created_at": "2026-11-22T17:00:00Z",
    "started_at": "2026-11-22T17:00:00.800Z",
    "cancel_requested_at": None,
    "finished_at": None,
    "counts": {"total": 10000, "read": 10000, "completed": 4980, "failed": 20, "duplicates": 112},
    "rows_per_second": 41.7,
    "eta_seconds": 119.9,
    "error": None,
    "metadata": {"batch": "november"},
    "links": {
        "self": f"/catalogs/{_ID}",
        "results": f"/catalogs/{_ID}/results",
        "errors": f"/catalogs/{_ID}/errors",
    },
}
PAGE_EXAMPLE: dict[str, Any] = {
    "data": [CATALOG_EXAMPLE],
    "next_cursor": None,
    "links": {"self": "/catalogs", "next": None},
}
FORM_PROPERTIES: dict[str, Any] = {
    "file": {
        "type": "string",
        "format": "binary",
        "description": "A CSV (with header), JSON Lines or Parquet manifest with the columns `url`"
        " or `key` (below your import prefix), and optionally `custom_id`, `listing_id` and"
        " `category`; or a ZIP archive of photos.",
    },
    "format": {
        "type": "string",
        "enum": ["csv", "jsonl", "parquet", "zip"],
        "description": "Else told from the file's name.",
    },
    "metadata": {
        "type": "string",
        "contentMediaType": "application/json",
        "description": "A JSON object of your own, returned with the catalog.",
    },
    "webhook_url": {
        "type": "string",
        "maxLength": 2048,
        "description": "Told when this catalog has finished.",
    },
}
RESULTS_EXAMPLE = (
    "line,custom_id,listing_id,category,source,label,probability,confidence,model_version,sha256,"
    "image_id,job_id\r\n"
)
ERRORS_EXAMPLE = (
    "line,custom_id,listing_id,category,source,error_code,error_detail,image_id\r\n"
    "17,sku-16,L-8,kitchen,https://shop.example/16.jpg,fetch_status,"
    "The server answered with status 404.,\r\n"
)
