"""Bulk catalogs: as their tenants see them, and as they are read."""
