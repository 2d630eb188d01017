"""PostgreSQL: durable (fsync on, the default), modest in memory, TCP on 127.0.0.1 only."""

import shutil
import subprocess
from pathlib import Path

import psutil
import psycopg

from infra.local.directory.private_file import write_private
from infra.local.errors import LocalStackError
from infra.local.processes.program import SERVER_PRIORITY, Program
from infra.local.servers.binaries import postgres_program
from infra.local.servers.privileges import PostgresUser

USER = "detector"
DATABASE = "detector"
_CHECK_TIMEOUT_S = 2
_INITDB_TIMEOUT_S = 120


class PostgresServer:
    """Keeps its cluster in `directory`/data.

    Args:
        directory: exists; the cluster is created in it on first start.
        port: TCP port.
        password: of the role `detector`, hexadecimal.
    """

    name = "postgres"

    def __init__(self, directory: Path, port: int, password: str) -> None:
        self._directory = directory
        self._port = port
        self._password = password
        self.url = f"postgresql+psycopg://{USER}:{password}@127.0.0.1:{port}/{DATABASE}"

    @property
    def binary(self) -> Path:
        """Resolved path of the server program. Raises MissingBinaryError."""
        return postgres_program("postgres")

    @property
    def _data(self) -> Path:
        return self._directory / "data"

    def prepare(self) -> None:
        """Create the cluster on first start; afterwards clear a stale lock file."""
        if self._data.exists():
            self._remove_stale_lock()
        else:
            self._create_cluster()

    def _create_cluster(self) -> None:
        # Created aside and renamed: a start that is killed in between leaves no half a cluster.
        fresh = self._directory / "data.new"
        shutil.rmtree(fresh, ignore_errors=True)
        user = PostgresUser.for_directory(self._directory)
        password_file = self._directory / "password"
        write_private(password_file, self._password)
        user.own(self._directory, password_file)
        command = [
            *user.prefix(),
            str(postgres_program("initdb")),
            f"--pgdata={fresh}",
            f"--username={USER}",
            f"--pwfile={password_file}",
            "--auth=scram-sha-256",
            "--encoding=UTF8",
            # The same order of strings on every machine, whatever locales it has.
            "--locale-provider=builtin",
            "--builtin-locale=C.UTF-8",
            "--locale=C",
        ]
        try:
            done = subprocess.run(
                command,
                capture_output=True,
                text=True,
                timeout=_INITDB_TIMEOUT_S,
                check=False,
                cwd="/",
            )
        finally:
            password_file.unlink()
        if done.returncode:
            raise LocalStackError(
                f"initdb could not create {fresh} (exit {done.returncode}):\n"
                f"{(done.stderr or done.stdout).strip()}\n"
                "What to do: mend what it says; `df` and `ls -ld` on that directory are a start."
            )
        fresh.rename(self._data)

    def _remove_stale_lock(self) -> None:
        """Remove postmaster.pid if another program has that process id now.

        PostgreSQL itself removes it if no process has that id, but takes any living process of
        the same user for a server; in containers the same ids come up at every start.
        """
        lock = self._data / "postmaster.pid"
        try:
            pid = int(lock.read_text().split("\n", 1)[0])
            program = Path(psutil.Process(pid).exe())
        except (FileNotFoundError, ValueError, psutil.Error):
            return
        if program != self.binary:
            lock.unlink()

    def program(self) -> Program:
        """Return how supervisor runs it."""
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": self._port,
            "unix_socket_directories": "",
            "shared_buffers": "64MB",
            "max_connections": 100,
            "timezone": "UTC",
            "log_timezone": "UTC",
        }
        user = PostgresUser.for_directory(self._directory)
        return Program(
            name=self.name,
            command=[
                *user.prefix(),
                str(self.binary),
                "-D",
                str(self._data),
                *(part for key, value in settings.items() for part in ("-c", f"{key}={value}")),
            ],
            directory=self._directory,
            priority=SERVER_PRIORITY,
            # "Fast": ends sessions and writes a checkpoint. SIGTERM would wait for clients.
            stop_signal="INT",
            stop_wait_s=30,
        )

    def check(self) -> None:
        """Return if it answers an authenticated request."""
        self._connect("postgres").close()

    def finish(self) -> None:
        """Create the database `detector` if it is missing."""
        with self._connect("postgres") as connection:
            found = connection.execute(
                "SELECT 1 FROM pg_database WHERE datname = %s", (DATABASE,)
            ).fetchone()
            if found is None:
                connection.execute(f"CREATE DATABASE {DATABASE}")

    def clean(self) -> None:
        """Nothing is outside its directory."""

    def _connect(self, database: str) -> psycopg.Connection[tuple[object, ...]]:
        return psycopg.connect(
            host="127.0.0.1",
            port=self._port,
            user=USER,
            password=self._password,
            dbname=database,
            connect_timeout=_CHECK_TIMEOUT_S,
            autocommit=True,
        )
