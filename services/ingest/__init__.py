"""Catalog manifests to jobs: streamed, resumable, never ahead of interactive work."""
