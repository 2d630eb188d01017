"""The data set: its manifest, where the photos come from, and whether they can be trusted."""
