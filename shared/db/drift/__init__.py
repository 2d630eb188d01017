"""Drift: counts and samples of stored verdicts, references, checks and what they found."""
