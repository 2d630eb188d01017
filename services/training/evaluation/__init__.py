"""Evaluation of the second edition: native photos, alike for both classes (docs/evaluation.md)."""
