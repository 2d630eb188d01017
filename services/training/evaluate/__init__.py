"""Scores to numbers: metrics, calibration, tiers, stability, comparisons."""
