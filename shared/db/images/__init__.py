"""Single photos: their facts, reviewers' labels, heatmaps."""
