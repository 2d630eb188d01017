"""`make mlflow` serves the local store on loopback, and leaves other servers alone."""

import pytest

from infra.local.mlflow_ui import MlflowUiSettings, command


def test_the_local_store_is_served_on_loopback(tmp_path):
    store = tmp_path / "deep" / "mlflow.db"
    settings = MlflowUiSettings(mlflow_tracking_uri=f"sqlite:///{store}", mlflow_ui_port=5055)
    arguments = command(settings)
    options = dict(zip(arguments[4::2], arguments[5::2], strict=True))
    assert options == {
        "--workers": "1",
        "--host": "127.0.0.1",
        "--port": "5055",
        "--backend-store-uri": f"sqlite:///{store}",
        "--artifacts-destination": (store.parent / "artifacts").as_uri(),
    }
    assert store.parent.is_dir()


def test_a_server_elsewhere_is_named_without_its_password(capsys):
    settings = MlflowUiSettings(mlflow_tracking_uri="https://me:secret@registry.example:5000")
    with pytest.raises(SystemExit) as ended:
        command(settings)
    assert ended.value.code == 2
    assert "https://registry.example:5000" in (said := capsys.readouterr().err)
    assert "secret" not in said
