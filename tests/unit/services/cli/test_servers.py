import pytest

from tests.support.processes import free_port
from tests.unit.services.cli.conftest import Run

COMMANDS = [
    ["keys", "create", "--tenant", "shop", "--name", "ci"],
    ["keys", "list"],
    ["db", "status"],
    ["db", "upgrade"],
]


@pytest.mark.parametrize("command", COMMANDS)
def test_without_a_database_it_says_what_to_do(run: Run, command: list[str]) -> None:
    result = run(*command)
    assert (result.code, result.out) == (2, "")
    assert "DETECTOR_DATABASE_URL" in result.err


@pytest.mark.parametrize("command", COMMANDS)
def test_a_database_that_is_away_is_named_without_its_password(
    run: Run, command: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"postgresql+psycopg://me:hush-hush@127.0.0.1:{free_port()}/photos"
    monkeypatch.setenv("DETECTOR_DATABASE_URL", url)
    result = run(*command)
    assert (result.code, result.out) == (2, "")
    assert "does not answer" in result.err
    assert "hush" not in result.err


@pytest.mark.parametrize(
    "arguments", [["--tenant", " ", "--name", "x"], ["--tenant", "x"], ["--scope", "everything"]]
)
def test_wrong_usage_is_exit_code_2(run: Run, arguments: list[str]) -> None:
    assert run("keys", "create", *arguments).code == 2
