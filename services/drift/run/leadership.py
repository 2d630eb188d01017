"""One process checks; any others wait for its end, and go on from the rows that it wrote."""

from types import TracebackType
from typing import Self

from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import SQLAlchemyError

# Any constant that nothing else in this database locks.
ADVISORY_LOCK = 7_160_325_482


class Leadership:
    """An advisory lock of PostgreSQL: it ends with its connection, however the process ends.

    It saves double work only. That no window is told twice is the unique key's doing.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._connection: Connection | None = None

    def held(self) -> bool:
        """Return whether this process leads, taking the lock when it is free.

        Raises SQLAlchemyError when the database is away; the lock is lost then.
        """
        try:
            if self._connection is None:
                self._connection = self._take()
            else:
                self._connection.execute(text("SELECT 1"))
        except SQLAlchemyError:
            self.release()
            raise
        return self._connection is not None

    def release(self) -> None:
        """Let another process lead."""
        if self._connection is not None:
            connection, self._connection = self._connection, None
            # Closed for good, not given back to the pool: a pooled one would keep the lock.
            connection.invalidate()
            connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.release()

    def _take(self) -> Connection | None:
        # Autocommit: a transaction left open would be ended by the server after 20 s.
        connection = self._engine.connect().execution_options(isolation_level="AUTOCOMMIT")
        taken = connection.execute(
            text("SELECT pg_try_advisory_lock(:key)"), {"key": ADVISORY_LOCK}
        ).scalar_one()
        if taken:
            return connection
        connection.close()
        return None
