"""Outbox sweep, lease rescue, retention and invariant checks, on Celery beat."""
