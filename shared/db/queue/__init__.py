"""What waits to be done: the outbox, idempotency keys, the length of the queue."""
