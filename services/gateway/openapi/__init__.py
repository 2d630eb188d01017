"""The OpenAPI document: how it is put together, and the examples in it."""
