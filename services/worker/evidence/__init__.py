"""Evidence bundles checked offline: `detector evidence`."""
