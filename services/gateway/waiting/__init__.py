"""Who waits for what: finished jobs, heatmaps, the queue."""
