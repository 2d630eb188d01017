"""Webhooks: endpoints, events, deliveries and their log (G3)."""
