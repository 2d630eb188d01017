"""Checks of the code itself: the names that others rely on, and how the house is divided."""
