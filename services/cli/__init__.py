"""The `detector` command: one entry point, thin, every subcommand imported only when it runs."""
