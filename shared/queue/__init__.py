"""Celery on Redis: a delivery hint. PostgreSQL decides what is to be done."""
