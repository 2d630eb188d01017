"""What stored predictions are compared with: frozen once, on request."""
