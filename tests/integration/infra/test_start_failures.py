"""What a person reads when the stack cannot start."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from infra.local import LocalStackError, Stack
from infra.local.errors import AlreadyRunningError, StartError
from infra.local.processes.program import SERVICE_PRIORITY, Program
from infra.local.servers.privileges import PostgresUser
from infra.local.service import Service
from tests.integration.infra.processes import processes_of

MakeStack = Callable[..., Stack]


def _cluster_of_another_version(stack: Stack) -> None:
    stack.layout.create()
    data = stack.layout.postgres / "data"
    data.mkdir(mode=0o700)
    for name, content in (("PG_VERSION", "17\n"), ("postgresql.conf", ""), ("pg_hba.conf", "")):
        (data / name).write_text(content)
    user = PostgresUser.for_directory(stack.layout.postgres)
    user.own(stack.layout.postgres, data, *data.iterdir())


def test_a_server_that_cannot_start_reports_its_own_log_lines(make_stack: MakeStack) -> None:
    stack = make_stack()
    _cluster_of_another_version(stack)
    with pytest.raises(StartError) as caught:
        stack.start_servers()
    assert caught.value.name == "postgres"
    message = str(caught.value)
    assert "FATAL:  database files are incompatible with server" in message
    assert "initialized by PostgreSQL version 17" in message
    assert "What to do: the data was written by another PostgreSQL version" in message
    assert str(stack.layout.log("postgres")) in message
    assert processes_of(stack.layout.root) == []


def test_a_second_stack_in_the_same_directory_is_refused(stack: Stack) -> None:
    second = Stack(stack.layout.root)
    with pytest.raises(AlreadyRunningError, match=r"already runs in .*\n.*stop it with Ctrl-C"):
        second.start_servers()
    second.stop()
    assert all(program.is_ready() for program in stack.programs)


def test_a_directory_that_cannot_be_used_is_named(make_stack: MakeStack, tmp_path: Path) -> None:
    (tmp_path / "stack").write_text("a file")
    with pytest.raises(LocalStackError, match=r"cannot be used.*\n.*DETECTOR_LOCAL_DIR"):
        make_stack().start_servers()


def test_a_service_that_ends_reports_its_last_words(stack: Stack) -> None:
    code = "import sys; print('starting'); sys.exit('settings error: no such model')"
    program = Program("broken", [sys.executable, "-c", code], Path("/"), SERVICE_PRIORITY)

    def never() -> None:
        raise OSError("nothing listens")

    with pytest.raises(StartError, match="broken ended while starting") as caught:
        stack.start_services([Service(program, never)])
    assert caught.value.lines == ("settings error: no such model",)
    stack.program("broken").stop()
