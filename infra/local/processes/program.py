"""A program under supervisor, and its section of supervisor's configuration file."""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

# Programs are stopped from the highest number to the lowest, those of one number together.
SERVER_PRIORITY = 100
SERVICE_PRIORITY = 500


@dataclass(frozen=True)
class Program:
    """One long-running process.

    Attributes:
        name: unique; also the name of its log file.
        command: program and arguments, no shell.
        directory: working directory.
        priority: see SERVER_PRIORITY.
        environment: added to supervisor's own environment.
        stop_signal: asks for an orderly end.
        stop_wait_s: seconds after which the process group is killed.
    """

    name: str
    command: Sequence[str]
    directory: Path
    priority: int
    environment: Mapping[str, str] = field(default_factory=dict)
    stop_signal: str = "TERM"
    stop_wait_s: int = 10


def _plain(value: str) -> str:
    """Return `value` fit for the file's format; `%` is its expansion mark.

    Raises:
        ValueError: the format cannot express it (line break, or what it reads as a comment).
    """
    is_comment = value.startswith((";", "#")) or " ;" in value or " #" in value
    if is_comment or any(ord(character) < 32 for character in value):
        raise ValueError(f"not expressible in supervisor's configuration: {value!r}")
    return value.replace("%", "%%")


def _quoted(value: str) -> str:
    """Return `value` as a quoted word of an `environment=` list."""
    # That list is read by shlex in its non-POSIX mode, where no quote can be escaped, and
    # supervisor then strips every quote from both ends.
    quote = "'" if '"' in value else '"'
    if quote in value or value.strip("'\"") != value:
        raise ValueError(f"not expressible in supervisor's configuration: {value!r}")
    return f"{quote}{_plain(value)}{quote}"


def render_program(program: Program, log_path: Path) -> str:
    """Return the `[program:…]` section.

    Nothing starts by itself (`autostart=false`): the stack starts programs in its own order and
    waits for each to be ready. Once started, a program that ends is started again.
    """
    environment = ",".join(f"{k}={_quoted(v)}" for k, v in sorted(program.environment.items()))
    return f"""\
[program:{program.name}]
command={_plain(shlex.join(program.command))}
directory={_plain(str(program.directory))}
environment={environment}
priority={program.priority}
autostart=false
autorestart=true
startsecs=1
startretries=5
stopsignal={program.stop_signal}
stopwaitsecs={program.stop_wait_s}
killasgroup=true
redirect_stderr=true
stdout_logfile={_plain(str(log_path))}
stdout_logfile_maxbytes=10MB
stdout_logfile_backups=3
"""
