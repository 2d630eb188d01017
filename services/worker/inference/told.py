"""The entry of a verdict's evidence that tells what each network of a package of members said."""

from collections.abc import Sequence
from typing import Any

from services.worker.engines.port import Predictions

KIND = "networks"


def told_by_networks(predictions: Predictions) -> Sequence[dict[str, Any] | None]:
    """Return one JSON-ready entry for each photo; none for a package of one network.

    A photo `ended_at` the view when its tiles could not have changed the verdict; then there is no
    logit of theirs.
    """
    view, tiles, seen = predictions.view, predictions.tiles, predictions.tiles_seen
    if view is None or tiles is None or seen is None:
        return []
    return [
        {
            "kind": KIND,
            "ended_at": "tiles" if looked else "view",
            "view_logit": round(of_view, 4),
            "tiles_logit": round(of_tiles, 4) if looked else None,
        }
        for of_view, of_tiles, looked in zip(
            view.tolist(), tiles.tolist(), seen.tolist(), strict=True
        )
    ]
