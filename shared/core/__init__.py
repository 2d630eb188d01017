"""Settings, logging, metrics, errors, ids: all that knows no business."""
