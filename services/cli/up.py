"""`detector up`: the same as `make up`."""

import typer

from services.cli.output import new_app

app = new_app("Start the servers and every service on this machine, until Ctrl-C.")


@app.command()
def up() -> None:
    """Start the servers and every service on this machine, until Ctrl-C.

    Servers whose DETECTOR_* address is set are used instead of embedded ones.
    """
    from infra.local.up import main

    raise typer.Exit(main())
