"""HTTP client of the gateway, for the CLI, the UI and scripts.

`config` says where it is, `http` has DetectorClient, `photo` is what to upload, `errors` is what
can go wrong; the other modules hold the calls. `config` and `errors` need no httpx.
"""
