"""Rows to the JSON that clients see: the same body in a response and in a webhook."""
