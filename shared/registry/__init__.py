"""The model registry: MLflow, seen as packages with numbers, aliases and a promotion history."""
