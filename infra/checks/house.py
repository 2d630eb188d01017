"""Counts modules, doors and lines, and says which limit is broken: `python -m infra.checks.house`.

Production modules are those of services, shared and infra, without `__init__.py`. A folder's doors
are the modules that lie in it directly.
"""

import ast
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Final

from shared.core.settings import REPOSITORY_ROOT

MAX_MODULES: Final = 420
MAX_DOORS: Final = 15
MAX_LINES: Final = 350
# Lines that nine of ten modules stay within: fewer tells of crumbs, more of gluing.
LINES_90: Final = (180, 350)
MAX_FUNCTION_MEDIAN: Final = 8
MAX_FUNCTION_90: Final = 25

_TOPS = ("services", "shared", "infra")


@dataclass(frozen=True, slots=True)
class House:
    """Lines by module, modules by folder (paths from the repository's root), lines by function."""

    modules: dict[str, int]
    doors: dict[str, int]
    functions: list[int]

    @property
    def lines_90(self) -> int:
        """Lines that nine of ten modules stay within."""
        return _percentile(list(self.modules.values()))

    def broken(self) -> Iterator[str]:
        """Yield each limit that does not hold, with what breaks it."""
        if len(self.modules) > MAX_MODULES:
            yield f"{len(self.modules)} modules; at most {MAX_MODULES}"
        for folder, count in self.doors.items():
            if count > MAX_DOORS:
                yield f"{folder} has {count} modules of its own; at most {MAX_DOORS}"
        for path, lines in self.modules.items():
            if lines > MAX_LINES:
                yield f"{path} has {lines} lines; at most {MAX_LINES}"
        if not LINES_90[0] <= self.lines_90 <= LINES_90[1]:
            yield f"nine of ten modules within {self.lines_90} lines; wanted {LINES_90}"
        if median(self.functions) > MAX_FUNCTION_MEDIAN:
            yield f"functions of {median(self.functions)} lines at the median"
        if _percentile(self.functions) > MAX_FUNCTION_90:
            yield f"nine of ten functions within {_percentile(self.functions)} lines"

    def summary(self) -> str:
        """Return the counts in a few lines."""
        widest = max(self.doors, key=self.doors.__getitem__)
        return (
            f"{len(self.modules)} modules in {len(self.doors)} folders, at most"
            f" {self.doors[widest]} in one ({widest})\n"
            f"modules: nine of ten within {self.lines_90} lines,"
            f" the longest {max(self.modules.values())}\n"
            f"functions: median {median(self.functions):.0f} lines,"
            f" nine of ten within {_percentile(self.functions)}"
        )


def measure(root: Path = REPOSITORY_ROOT) -> House:
    """Return the counts of the production code below `root`."""
    modules: dict[str, int] = {}
    functions: list[int] = []
    for top in _TOPS:
        for path in sorted((root / top).rglob("*.py")):
            text = path.read_text()
            functions.extend(_functions(ast.parse(text)))
            if path.name != "__init__.py":
                modules[str(path.relative_to(root))] = text.count("\n")
    doors = Counter(str(Path(path).parent) for path in modules)
    return House(modules, dict(doors), functions)


def _functions(tree: ast.Module) -> Iterator[int]:
    """Yield the lines of each function, without its docstring."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            first = node.body[0]
            if ast.get_docstring(node, clean=False) is not None:
                lines -= (first.end_lineno or first.lineno) - first.lineno + 1
            yield lines


def _percentile(values: list[int]) -> int:
    return sorted(values)[int(0.9 * (len(values) - 1))]


def main() -> None:
    """Print the counts; end with 1 where a limit is broken."""
    house = measure()
    print(house.summary())
    broken = list(house.broken())
    print(*broken, sep="\n")
    sys.exit(bool(broken))


if __name__ == "__main__":
    main()
