"""Entry point of `python -m services.training`."""

from services.training.cli import app

app()
