"""Processor time by program, so that the table says where a photo's milliseconds go."""

import os

import psutil

from infra.local.stack import Stack


def processor_seconds(stack: Stack) -> dict[str, float]:
    """Return user and system seconds used so far by each program of `stack`, and by this one."""
    used = {program.name: _tree_seconds(program.pid) for program in stack.programs if program.pid}
    own = os.times()
    return {**used, "client": own.user + own.system}


def _tree_seconds(pid: int) -> float:
    total = 0.0
    for process in [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]:
        times = process.cpu_times()
        total += times.user + times.system
    return total


def milliseconds_per_image(
    before: dict[str, float], after: dict[str, float], images: int
) -> dict[str, float]:
    """Return what each program used between two readings, largest first, in ms per image."""
    spent = {name: (after[name] - before.get(name, 0.0)) * 1000 / images for name in after}
    return dict(sorted(spent.items(), key=lambda item: -item[1]))
