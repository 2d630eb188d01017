"""The inference worker: leases images, judges them in batches, writes verdicts."""
