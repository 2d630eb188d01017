"""Signed deliveries of events (Standard Webhooks 1.0)."""
