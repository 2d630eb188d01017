"""`make bench`: images per second through the whole stack, beside the bare ceiling."""
