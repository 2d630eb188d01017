"""HTTP client of the gateway, for the CLI, the UI and scripts.

`config` says where it is, `http` calls it, `errors` is what can go wrong. Only `http` and `retry`
need httpx.
"""
