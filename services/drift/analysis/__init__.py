"""A window's measurements: counts, embeddings, segments, and the tests of every scope over them."""
