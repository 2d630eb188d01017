"""SeaweedFS's `weed mini`: an S3 server with access keys, in one process.

It needs five sub-servers (S3, filer, master, volume, admin), each with an HTTP port and a gRPC
port; all listen on 127.0.0.1. WebDAV, the admin pages, Iceberg, Lance and telemetry are off.
"""

import contextlib
import json
from collections.abc import Mapping
from pathlib import Path

import urllib3
from minio import Minio

from infra.local.directory.private_file import write_private
from infra.local.directory.state import GRPC_OFFSET, is_free
from infra.local.processes.program import SERVER_PRIORITY, Program
from infra.local.servers.binaries import weed

_CHECK_TIMEOUT_S = 3.0
_SOCKETS = Path("/tmp")  # noqa: S108 - SeaweedFS has no setting for it
_PARTS = ("s3", "filer", "master", "volume", "admin")

# Volume files are flushed to disk before a write is answered: a 202 of the gateway means that the
# photo's bytes are durable.
_FILER_CONFIGURATION = {
    "version": 1,
    "locations": [{"locationPrefix": "/buckets/", "fsync": True}],
}


class SeaweedServer:
    """Keeps objects under `directory`.

    Args:
        directory: data and configuration.
        ports: HTTP port per name in `PORT_NAMES`; gRPC is at port + GRPC_OFFSET.
        access_key: the only S3 identity's key id.
        secret_key: its secret.
    """

    name = "seaweedfs"
    PORT_NAMES = tuple(f"seaweedfs-{part}" for part in _PARTS)

    def __init__(
        self, directory: Path, ports: Mapping[str, int], access_key: str, secret_key: str
    ) -> None:
        self._directory = directory
        self._ports = {part: ports[f"seaweedfs-{part}"] for part in _PARTS}
        self._access_key = access_key
        self._secret_key = secret_key
        self.endpoint = f"http://127.0.0.1:{self._ports['s3']}"

    @property
    def binary(self) -> Path:
        """Resolved path of the server program. Raises MissingBinaryError."""
        return weed()

    @property
    def _identities(self) -> Path:
        return self._directory / "identities.json"

    @property
    def _data(self) -> Path:
        return self._directory / "data"

    def prepare(self) -> None:
        """Write the S3 identity; forget saved flags."""
        self._data.mkdir(mode=0o700, exist_ok=True)
        # It saves its flags there and would take old ports from it.
        (self._data / "mini.options").unlink(missing_ok=True)
        identity = {
            "name": "detector",
            "credentials": [{"accessKey": self._access_key, "secretKey": self._secret_key}],
            "actions": ["Admin", "Read", "Write", "List", "Tagging"],
        }
        write_private(self._identities, json.dumps({"identities": [identity]}, indent=1) + "\n")

    def program(self) -> Program:
        """Return how supervisor runs it."""
        options: dict[str, object] = {
            "dir": self._data,
            "ip": "127.0.0.1",
            "ip.bind": "127.0.0.1",
            "s3.config": self._identities,
            # A wrong bucket name shall fail as it does on other S3 servers.
            "s3.autoCreateBucket": "false",
            "s3.allowDeleteBucketNotEmpty": "false",
            "s3.port.iceberg": 0,
            "s3.port.lance": 0,
            "webdav": "false",
            "admin.ui": "false",
            # On by default, it reports to the maker's server.
            "master.telemetry": "false",
            "master.volumeSizeLimitMB": 256,
            # What it would resume (the highest volume id, its own address) it learns from the
            # volumes anyway; a resumed master refuses writes for 15 s, waiting for other servers.
            "master.resumeState": "false",
            "volume.preStopSeconds": 0,
        }
        for part, port in self._ports.items():
            options[f"{part}.port"] = port
            options[f"{part}.port.grpc"] = port + GRPC_OFFSET
        return Program(
            name=self.name,
            command=[
                str(self.binary),
                "-logtostderr=true",
                "mini",
                *(f"-{key}={value}" for key, value in options.items()),
            ],
            directory=self._directory,
            priority=SERVER_PRIORITY,
            # A soft limit for Go's collector: 171 MB resident instead of 342 MB after three 20 MB
            # objects and 600 small ones. 230 MB are always in use (most never touched, hence not
            # resident); a limit near that keeps the collector busy: with 200MiB, 10 % of a core
            # when idle instead of 0.5 %, and 15 s of processor for those uploads instead of 3 s.
            environment={"GOMEMLIMIT": "320MiB"},
        )

    def check(self) -> None:
        """Return if it answers an authenticated request."""
        with self._pool() as pool:
            Minio(
                self.endpoint.removeprefix("http://"),
                access_key=self._access_key,
                secret_key=self._secret_key,
                secure=False,
                region="us-east-1",
                http_client=pool,
            ).list_buckets()

    def finish(self) -> None:
        """Tell the filer to flush written objects; it keeps this over restarts."""
        url = f"http://127.0.0.1:{self._ports['filer']}/etc/seaweedfs/filer.conf"
        with self._pool() as pool:
            stored = pool.request("GET", url)
            if stored.status == 200 and stored.json() == _FILER_CONFIGURATION:
                return
            answer = pool.request("PUT", url, json=_FILER_CONFIGURATION)
            if answer.status >= 300:
                raise OSError(f"filer answered {answer.status}: {answer.data[:200]!r}")

    def clean(self) -> None:
        """Remove its unix sockets, whose place is fixed and which it leaves behind."""
        for part, port in self._ports.items():
            names = {
                f"{part}-{port}": port,
                f"{part}-grpc-{port + GRPC_OFFSET}": port + GRPC_OFFSET,
            }
            for name, own_port in names.items():
                # A port in use may be another stack's by now, and so is the socket then.
                if is_free(own_port):
                    with contextlib.suppress(OSError):
                        (_SOCKETS / f"seaweedfs-{name}.sock").unlink()

    @staticmethod
    def _pool() -> urllib3.PoolManager:
        return urllib3.PoolManager(timeout=_CHECK_TIMEOUT_S, retries=False)
