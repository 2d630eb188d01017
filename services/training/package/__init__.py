"""The model package: exported, described, written."""
