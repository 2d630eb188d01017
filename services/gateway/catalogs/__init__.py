"""Catalogs at the gateway: what is asked for, its acceptance, its results as files."""
