"""Requests to addresses that clients name: never to a non-public one."""
