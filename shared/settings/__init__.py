"""Settings that several services share, by noun."""
