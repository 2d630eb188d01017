"""A command group whose members are imported when they run, not when help is printed."""

import importlib
import importlib.util
import sys
from dataclasses import dataclass
from typing import Any, ClassVar

import typer
from typer.core import TyperCommand, TyperGroup


@dataclass(frozen=True, slots=True)
class LazyCommand:
    """`target` is `module:attribute` of a Typer app; `help` is shown without importing it.

    With `member`, the command of that name inside the app is meant instead of the whole app.
    Optional commands are left out while their module is not installed; `install_hint` is printed
    when the module is there, but something that it imports is not.
    """

    target: str
    help: str
    member: str | None = None
    optional: bool = False
    install_hint: str = "pip install -e ."

    @property
    def module(self) -> str:
        """Dotted name of the module to import."""
        return self.target.partition(":")[0]

    def is_installed(self) -> bool:
        """Whether the module can be found; imports its parent packages only."""
        try:
            return importlib.util.find_spec(self.module) is not None
        except ModuleNotFoundError:
            return False


class LazyGroup(TyperGroup):
    """Members are in `lazy_commands`, in help order."""

    lazy_commands: ClassVar[dict[str, LazyCommand]] = {}

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002
        """Return the names of the commands that are installed."""
        return [
            name
            for name, lazy in self.lazy_commands.items()
            if not lazy.optional or lazy.is_installed()
        ]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Return a stand-in that carries name and help: enough for listings and completion."""
        if cmd_name not in self.list_commands(ctx):
            return None
        return TyperCommand(cmd_name, help=self.lazy_commands[cmd_name].help)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Return (name, the imported command, remaining arguments) of the command to run."""
        name, _stand_in, rest = super().resolve_command(ctx, args)
        return name, load_command(str(name), self.lazy_commands[str(name)]), rest


def load_command(name: str, lazy: LazyCommand) -> Any:
    """Import the command; exits with 2 and the install hint when a library is missing."""
    try:
        module = importlib.import_module(lazy.module)
    except ModuleNotFoundError as error:
        missing = error.name or str(error)
        if missing.partition(".")[0] in {"services", "shared", "infra"}:
            raise
        sys.stderr.write(
            f"detector {name}: the Python package {missing!r} is not installed.\n"
            f"Install what this command needs: {lazy.install_hint}\n"
        )
        raise typer.Exit(2) from None
    target = getattr(module, lazy.target.partition(":")[2])
    command = typer.main.get_command(target) if isinstance(target, typer.Typer) else target
    member = getattr(command, "commands", {}).get(lazy.member) if lazy.member else None
    return member or command
