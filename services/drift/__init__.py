"""Compares stored predictions with a frozen reference, on a schedule, and names what moved."""
