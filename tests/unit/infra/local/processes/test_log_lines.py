"""The lines a person is shown are those that say why."""

from pathlib import Path

import pytest

from infra.local.processes.log_lines import advice_for, log_size, telling_lines


def test_lines_of_an_earlier_start_are_not_blamed(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("FATAL: old trouble\n")
    start = log_size(log)
    with log.open("a") as file:
        file.write("LOG: starting\nFATAL: new trouble\nLOG: bye\n")
    assert telling_lines(log, start) == ["FATAL: new trouble"]


def test_without_an_error_line_the_last_lines_are_shown(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("".join(f"line {number}\n" for number in range(9)))
    assert telling_lines(log, 0) == [f"line {number}" for number in range(4, 9)]


def test_a_log_that_was_rotated_since_is_read_from_its_beginning(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("error: short\n")
    assert telling_lines(log, 10_000) == ["error: short"]


def test_a_log_of_bytes_and_long_lines_is_cut_not_refused(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_bytes(b"error \xff" + b"x" * 10_000 + b"\n")
    (line,) = telling_lines(log, 0)
    assert len(line) == 400


def test_no_log_has_no_lines(tmp_path: Path) -> None:
    assert telling_lines(tmp_path / "missing", 0) == []
    assert log_size(tmp_path / "missing") == 0


@pytest.mark.parametrize(
    ("line", "advice"),
    [
        ("bind: Address already in use", "took the port"),
        ("FATAL: could not write: No space left on device", "disk space"),
        ("open /x: permission denied", "belongs to another user"),
        ("FATAL:  database files are incompatible with server", "another PostgreSQL version"),
        ("ModuleNotFoundError: No module named 'celery'", "make install"),
        ("something else", "mend what the log says"),
    ],
)
def test_the_advice_fits_the_line(line: str, advice: str) -> None:
    assert advice in advice_for([line])
