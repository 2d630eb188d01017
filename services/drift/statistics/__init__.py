"""Statistical tests: arrays in, an `Outcome` out. Pure; each in a file of its own.

Counts may be fractions: photos of one listing resemble each other, so callers scale counts to the
number of independent observations before testing.
"""
