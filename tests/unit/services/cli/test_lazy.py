import json
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from services.cli.lazy import LazyCommand, load_command
from tests.unit.services.cli.conftest import Run

HEAVY = {"httpx", "pydantic", "rich", "sqlalchemy", "numpy", "openvino", "torch", "minio", "redis"}


def test_help_imports_none_of_the_heavy_libraries() -> None:
    """`detector --help` names every command without importing what they need."""
    code = (
        "import json, sys\nfrom services.cli.main import app\n"
        "try:\n    app(['--help'])\nexcept SystemExit:\n    pass\n"
        "sys.stderr.write(json.dumps(sorted({name.partition('.')[0] for name in sys.modules})))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    for command in ("up", "submit", "jobs", "keys", "db", "doctor"):
        assert f"\n  {command} " in done.stdout
    assert HEAVY.isdisjoint(json.loads(done.stderr))


def test_an_unknown_command_is_a_usage_error(run: Run) -> None:
    result = run("bogus")
    assert result.code == 2
    assert "No such command 'bogus'" in result.err


@pytest.mark.parametrize("command", ["submit", "jobs get", "keys create", "db status", "doctor"])
def test_every_command_has_help(run: Run, command: str) -> None:
    result = run(*command.split(), "--help")
    assert result.code == 0
    assert result.out.startswith(f"Usage: detector {command}")


@pytest.fixture
def plugged_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package of another service, with a module that needs a missing library."""
    package = tmp_path / "plugins" / "another_service"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "cli.py").write_text(
        "import typer\napp = typer.Typer()\n"
        "@app.command()\ndef train(epochs: int = 1) -> None:\n    print('epochs', epochs)\n"
        "@app.command()\ndef evaluate() -> None:\n    print('evaluated')\n"
    )
    (package / "needy.py").write_text("import a_library_that_nobody_has\n")
    monkeypatch.syspath_prepend(package.parent)
    return package


def test_a_command_of_another_service_is_plugged_in_by_name(
    plugged_in: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lazy = LazyCommand("another_service.cli:app", "Train.", member="train", optional=True)
    assert lazy.is_installed()
    command = load_command("train", lazy)
    with pytest.raises(SystemExit):
        command.main(["--epochs", "3"], prog_name="detector train")
    assert capsys.readouterr().out == "epochs 3\n"


def test_an_absent_service_is_left_out() -> None:
    assert not LazyCommand("no_such_service.cli:app", "", optional=True).is_installed()
    assert not LazyCommand("services.cli.no_such_module:app", "", optional=True).is_installed()


def test_a_missing_library_is_named_with_how_to_install_it(
    plugged_in: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lazy = LazyCommand("another_service.needy:app", "", install_hint="pip install '.[training]'")
    with pytest.raises(typer.Exit) as ended:
        load_command("train", lazy)
    assert ended.value.exit_code == 2
    error = capsys.readouterr().err
    assert "'a_library_that_nobody_has' is not installed" in error
    assert "pip install '.[training]'" in error
