"""An array on disk that grows row by row and is a valid .npy file after every append."""

import io
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from services.training.errors import TrainingError


class GrowingArray:
    """Rows of one shape and kind, appended to a .npy file.

    numpy leaves room in the header for a larger first dimension, so that it can be written over.
    """

    def __init__(self, path: Path, kind: type[Any], row: tuple[int, ...], count: int = 0) -> None:
        """Open `path` and keep its first `count` rows; 0 makes it anew.

        Raises TrainingError when it holds fewer rows, or other ones.
        """
        self._kind, self._row, self._count = np.dtype(kind), row, count
        self._offset = len(self._header(0))
        self._file = path.open("r+b" if count else "w+b")
        size = self._offset + count * self._bytes_a_row()
        if count and (self._file.seek(0, 2) < size or self._start() != self._header_of_file()):
            self._file.close()
            raise TrainingError(f"{path} is not as it was left. Remove its folder to start over.")
        self._file.truncate(size)
        self._write_header()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()

    def append(self, rows: NDArray[Any]) -> None:
        """Append rows `[N, *row]` and bring file and header to the disk's cache."""
        if rows.shape[1:] != self._row or rows.dtype != self._kind:
            raise ValueError(f"rows {rows.dtype} {rows.shape} do not fit {self._kind} {self._row}")
        self._file.seek(self._offset + self._count * self._bytes_a_row())
        self._file.write(np.ascontiguousarray(rows).tobytes())
        self._count += len(rows)
        self._write_header()

    def _bytes_a_row(self) -> int:
        return int(np.prod(self._row, dtype=np.int64)) * self._kind.itemsize

    def _write_header(self) -> None:
        self._file.seek(0)
        self._file.write(self._header(self._count))
        self._file.flush()

    def _header(self, count: int) -> bytes:
        buffer = io.BytesIO()
        described = {
            "descr": np.lib.format.dtype_to_descr(self._kind),
            "fortran_order": False,
            "shape": (count, *self._row),
        }
        np.lib.format.write_array_header_1_0(buffer, described)
        return buffer.getvalue()

    def _start(self) -> tuple[tuple[int, ...], np.dtype[Any]]:
        return self._row, self._kind

    def _header_of_file(self) -> tuple[tuple[int, ...], np.dtype[Any]] | None:
        self._file.seek(0)
        try:
            np.lib.format.read_magic(self._file)
            shape, _order, kind = np.lib.format.read_array_header_1_0(self._file)
        except ValueError:
            return None
        return tuple(shape[1:]), kind
