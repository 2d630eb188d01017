"""Training of packages of members: a CLIP view and EfficientNet tiles (docs/training.md)."""
