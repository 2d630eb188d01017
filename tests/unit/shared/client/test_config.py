from pathlib import Path

import pytest

from shared.client.config import ClientConfig, load_client_config, read_env_file
from shared.client.errors import ClientNotConfigured

WRITTEN = "export DETECTOR_URL='http://127.0.0.1:8000'\nexport DETECTOR_API_KEY='apd_local'\n"


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    (tmp_path / "detector.env").write_text(WRITTEN)
    return tmp_path


def test_the_file_that_the_local_stack_wrote_is_enough(directory: Path) -> None:
    config = load_client_config({}, directory)
    assert config == ClientConfig("http://127.0.0.1:8000", "apd_local")


def test_the_environment_goes_before_the_file(directory: Path) -> None:
    environ = {"DETECTOR_URL": "https://photos.example/", "DETECTOR_API_KEY": "apd_theirs"}
    config = load_client_config(environ, directory)
    assert config == ClientConfig("https://photos.example", "apd_theirs")


def test_the_local_key_is_not_sent_to_another_gateway(directory: Path) -> None:
    with pytest.raises(ClientNotConfigured, match="Set DETECTOR_API_KEY"):
        load_client_config({"DETECTOR_URL": "https://elsewhere.example"}, directory)


def test_the_local_key_serves_the_local_gateway_named_outright(directory: Path) -> None:
    config = load_client_config({"DETECTOR_URL": "http://127.0.0.1:8000/"}, directory)
    assert config.api_key == "apd_local"


def test_a_missing_gateway_names_the_command_and_the_file(tmp_path: Path) -> None:
    with pytest.raises(ClientNotConfigured, match=r"Run `make up`.*detector\.env"):
        load_client_config({}, tmp_path)


@pytest.mark.parametrize("url", ["localhost:8000", "ftp://host", "http://", "http://h:port", "/x"])
def test_a_url_of_another_form_is_refused(url: str, tmp_path: Path) -> None:
    with pytest.raises(ClientNotConfigured, match="is not a URL like"):
        load_client_config({"DETECTOR_URL": url, "DETECTOR_API_KEY": "k"}, tmp_path)


def test_the_key_stays_out_of_reprs() -> None:
    assert "apd_secret" not in repr(ClientConfig("http://h", "apd_secret"))


def test_env_files_are_read_as_a_shell_would(tmp_path: Path) -> None:
    path = tmp_path / "some.env"
    path.write_text(
        "# a comment\n\nexport A='one two'\nB=plain\nexport C=\"x=y\"\nexport D='it'\\''s'\n"
        "unfinished='\nnonsense\n"
    )
    assert read_env_file(path) == {"A": "one two", "B": "plain", "C": "x=y", "D": "it's"}


def test_a_missing_env_file_has_no_variables(tmp_path: Path) -> None:
    assert read_env_file(tmp_path / "absent.env") == {}
