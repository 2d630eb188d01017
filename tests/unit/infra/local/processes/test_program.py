"""What is written into supervisor's configuration is what supervisor reads from it."""

from pathlib import Path

import pytest
from supervisor.options import ServerOptions

from infra.local.processes.program import SERVER_PRIORITY, Program, render_program


def _read_back(program: Program, directory: Path) -> object:
    """Return the program's settings as supervisor itself parses them."""
    configuration = directory / "supervisord.conf"
    configuration.write_text("[supervisord]\n" + render_program(program, directory / "log"))
    options = ServerOptions()
    options.realize(["-c", str(configuration)])
    return options.process_group_configs[0].process_configs[0]


@pytest.mark.parametrize(
    "value",
    [
        "plain",
        "",
        "50%",
        "%(ENV_HOME)s",
        "a b",
        "a,b=c",
        "it's",
        'say "x" y',
        "Ω;x#y",
        "redis://:p@h:1",
    ],
)
def test_a_value_reaches_the_program_unchanged(value: str, tmp_path: Path) -> None:
    program = Program("name", ["run", value or "-"], tmp_path, SERVER_PRIORITY, {"VALUE": value})
    config = _read_back(program, tmp_path)
    assert config.environment == {"VALUE": value}


@pytest.mark.parametrize("value", ["a\nb", "a ;b", "a #b", ";a", """both ' and " x""", '"x"'])
def test_a_value_that_the_format_cannot_hold_is_refused(value: str, tmp_path: Path) -> None:
    program = Program("name", ["run"], tmp_path, SERVER_PRIORITY, {"VALUE": value})
    with pytest.raises(ValueError, match="not expressible"):
        render_program(program, tmp_path / "log")


def test_stop_signal_limit_and_restart_are_set(tmp_path: Path) -> None:
    program = Program("name", ["run"], tmp_path, 7, stop_signal="INT", stop_wait_s=33)
    config = _read_back(program, tmp_path)
    assert (config.priority, config.stopsignal.name, config.stopwaitsecs) == (7, "SIGINT", 33)
    assert config.autostart is False
    assert config.killasgroup is True
