"""What a shift means: its cause, its severity, its plots, the event that tells of it."""
