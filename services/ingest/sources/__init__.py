"""Where a catalog's rows come from: manifests, archives, prefixes of a bucket."""
