"""`make up`: servers and services in the foreground until Ctrl-C."""

import os
import sys

from infra.local.boot import Endpoints
from infra.local.directory.layout import Layout
from infra.local.errors import LocalStackError
from infra.local.processes.foreground import Progress, fail, running_stack, watch
from infra.local.servers.urls import ExternalServers
from infra.local.settings import LocalSettings
from shared.core.settings import load_settings


def summary(endpoints: Endpoints, layout: Layout) -> str:
    """Return what is printed once everything answers."""
    attention = f"\n  {endpoints.attention}\n" if endpoints.attention else ""
    return f"""{attention}
  API          {endpoints.url}
  API docs     {endpoints.docs_url}
  Web page     {endpoints.ui_url}
  API key      {endpoints.api_key}

  In another terminal:  source {layout.client_env}
  Logs:                 {layout.logs}
  Ctrl-C stops everything.
"""


def main() -> int:
    """Run until a signal; returns the exit status: 0, or 1 if something did not start."""
    settings = load_settings(LocalSettings)
    report = Progress()
    try:
        with running_stack(settings, ExternalServers.from_environment(os.environ), report) as (
            stack,
            endpoints,
        ):
            print(summary(endpoints, stack.layout), flush=True)
            watch(stack, report)
    except KeyboardInterrupt:
        return 0
    except LocalStackError as error:
        return fail(error)
    return 0


if __name__ == "__main__":
    sys.exit(main())
