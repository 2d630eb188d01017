"""The gateway's client as commands use it, and what they do with answers that are files."""

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from services.cli.output import fail, say

if TYPE_CHECKING:
    from pydantic import BaseModel

    from shared.client.http import DetectorClient

ModelT = TypeVar("ModelT", bound="BaseModel")

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
AsJsonLines = Annotated[bool, typer.Option("--json", help="Print one JSON object a line.")]
# Of lists that begin with the newest.
Since = Annotated[
    str | None, typer.Option(metavar="TIME", help="Made then or later, as 2026-11-23T08:00Z.")
]
Until = Annotated[str | None, typer.Option(metavar="TIME", help="Made before then.")]
Limit = Annotated[int, typer.Option(min=1, help="The newest so many.")]


def gateway_client() -> "DetectorClient":
    """Return a client of the gateway that is configured here; use it in a `with` block."""
    from shared.client.config import load_client_config
    from shared.client.http import DetectorClient

    return DetectorClient(load_client_config())


def request_of(model: type[ModelT], **values: Any) -> ModelT:
    """Return the body of a request from the `values` that are not None: absent is not null.

    Exits with 2 and the reason when a value cannot be.
    """
    from pydantic import ValidationError

    try:
        return model(**{name: value for name, value in values.items() if value is not None})
    except ValidationError as error:
        first = error.errors()[0]
        fail(f"{'.'.join(map(str, first['loc'])) or 'the request'}: {first['msg']}.")


def write_parts(parts: Iterable[bytes], output: Path | None, *, text: bool = False) -> None:
    """Write `parts` to `output`, or to standard output without one.

    Exits with 2 when the file cannot be written, or when bytes that are no `text` would go to a
    terminal. A download that breaks off leaves no half file.
    """
    if output is None:
        if not text and sys.stdout.isatty():
            fail("this is no text; give --output FILE.")
        for part in parts:
            sys.stdout.buffer.write(part)
        sys.stdout.buffer.flush()
        return
    # Under another name until it is whole.
    partial = output.with_name(f"{output.name}.part")
    try:
        with partial.open("wb") as file:
            file.writelines(parts)
        partial.replace(output)
    except OSError as error:
        fail(f"{output}: {error.strerror or error}")
    finally:
        partial.unlink(missing_ok=True)
    say(f"wrote {output}")
