"""Engines: one network, several runtimes. `select.load_engine` chooses by hardware."""
