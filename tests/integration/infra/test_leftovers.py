"""However a stack's own process ends, no second set of servers ever runs."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil

from infra.local import Stack
from tests.integration.infra.processes import processes_of, servers_of, wait_until_gone

MakeStack = Callable[..., Stack]
ONE_SET = {"postgres": 1, "valkey-server": 1, "weed": 1}
NO_SET = dict.fromkeys(ONE_SET, 0)

HOLDER = """
import signal, sys
from pathlib import Path
from infra.local import Stack
with Stack(Path(sys.argv[1])) as stack:
    print(stack.supervisor_pid, flush=True)
    try:
        signal.pause()
    except KeyboardInterrupt:
        pass
"""


@contextmanager
def _holder(directory: Path) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """Yield another process that runs a stack in `directory`, and its supervisord's pid."""
    command = [sys.executable, "-c", HOLDER, str(directory)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process, int(process.stdout.readline())
        finally:
            process.kill()


def test_ctrl_c_leaves_no_process(tmp_path: Path) -> None:
    with _holder(tmp_path / "stack") as (process, _):
        assert servers_of(tmp_path) == ONE_SET
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0
    assert processes_of(tmp_path) == []


def test_killing_the_stack_s_process_ends_all_in_order(tmp_path: Path) -> None:
    with _holder(tmp_path / "stack") as (process, _):
        process.kill()
    assert wait_until_gone(tmp_path) == []
    log = (tmp_path / "stack" / "logs" / "postgres.log").read_text()
    assert "database system is shut down" in log


def test_after_killing_supervisord_the_next_start_leaves_one_set(
    make_stack: MakeStack, tmp_path: Path
) -> None:
    with _holder(tmp_path / "stack") as (process, supervisor_pid):
        old = {found.pid for found in processes_of(tmp_path)}
        os.kill(supervisor_pid, signal.SIGKILL)
        process.kill()
    assert servers_of(tmp_path) != NO_SET
    reported: list[str] = []
    stack = make_stack(report=reported.append)
    stack.start_servers()
    assert "that an earlier start left behind" in reported[0]
    assert servers_of(tmp_path) == ONE_SET
    assert not old & {program.pid for program in stack.programs}
    assert all(program.is_ready() for program in stack.programs)


def test_frozen_leftovers_and_a_living_supervisord_are_ended(
    make_stack: MakeStack, tmp_path: Path
) -> None:
    """The lock is free, as after a kill, but supervisord hears nothing: it is frozen too."""
    with _holder(tmp_path / "stack") as (process, supervisor_pid):
        for found in processes_of(tmp_path):
            if found.pid != process.pid:
                with suppress(psutil.NoSuchProcess):
                    found.suspend()
        process.kill()
    make_stack().start_servers()
    assert servers_of(tmp_path) == ONE_SET
    assert not psutil.pid_exists(supervisor_pid) or (
        psutil.Process(supervisor_pid).status() == psutil.STATUS_ZOMBIE
    )


@contextmanager
def _sleeper(**options: Any) -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(["sleep", "60"], **options) as process:
        try:
            yield process
        finally:
            process.kill()


def test_processes_that_are_not_the_stack_s_are_spared(make_stack: MakeStack) -> None:
    """A terminal in the data directory, another stack's process, and one that by chance has the
    process id in PostgreSQL's lock file, as happens when a container is started again.
    """
    stack = make_stack()
    stack.start_servers()
    lock = stack.layout.postgres / "data" / "postmaster.pid"
    lines, owner = lock.read_text().splitlines(), lock.stat()
    stack.stop()
    with (
        _sleeper(cwd=stack.layout.seaweedfs) as terminal,
        _sleeper(env={**os.environ, "DETECTOR_STACK_ID": "another"}) as other,
        # PostgreSQL believes a living process of its own user.
        _sleeper(user=owner.st_uid, group=owner.st_gid) as impostor,
    ):
        lock.write_text("\n".join([str(impostor.pid), *lines[1:]]) + "\n")
        os.chown(lock, owner.st_uid, owner.st_gid)
        stack.start_servers()
        assert stack.server("postgres").is_ready()
        assert [terminal.poll(), other.poll(), impostor.poll()] == [None, None, None]
