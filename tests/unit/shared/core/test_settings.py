"""Missing settings end the process with a message that says what to do."""

import pytest

from shared.core.settings import BaseAppSettings, load_settings

GOOD = {
    "DETECTOR_DATABASE_URL": "postgresql+psycopg://u:hidden@h/d",
    "DETECTOR_REDIS_URL": "redis://h:1/0",
    "DETECTOR_S3_ENDPOINT": "http://h:1",
    "DETECTOR_S3_ACCESS_KEY": "a",
    "DETECTOR_S3_SECRET_KEY": "b",
}


@pytest.fixture
def environment(monkeypatch):
    for name, value in GOOD.items():
        monkeypatch.setenv(name, value)
    return monkeypatch


@pytest.mark.parametrize("name", GOOD)
def test_every_server_and_secret_must_be_set(environment, capsys, name):
    environment.delenv(name)
    with pytest.raises(SystemExit) as exit_info:
        load_settings(BaseAppSettings)
    assert exit_info.value.code == 2
    message = capsys.readouterr().err
    assert name in message
    assert "make up" in message


def test_secrets_do_not_show_in_a_printout(environment):
    shown = repr(load_settings(BaseAppSettings))
    assert "hidden" not in shown


def test_a_wrong_value_is_named(environment, capsys):
    environment.setenv("DETECTOR_DATABASE_POOL_SIZE", "many")
    with pytest.raises(SystemExit):
        load_settings(BaseAppSettings)
    assert "DETECTOR_DATABASE_POOL_SIZE" in capsys.readouterr().err
