"""Simulated traffic, to measure how often drift is wrong: `python -m services.drift.study`."""
