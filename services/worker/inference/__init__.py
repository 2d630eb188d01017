"""From stored bytes to a verdict: pipeline, batches, the model that serves, engines."""
