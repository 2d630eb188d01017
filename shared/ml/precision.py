"""In which precision a network computes, how far that may move it, and what this processor has."""

import functools
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

# The names are OpenVINO's own. f16 is torch's autocast on CUDA, int8 a graph of its own.
Precision = Literal["f32", "bf16", "f16", "int8"]

_CPUINFO = Path("/proc/cpuinfo")
# Those that decide which kernels a runtime takes, and so the last digits of a logit.
_RELEVANT = frozenset(
    {
        "amx_bf16",
        "amx_fp16",
        "amx_int8",
        "avx2",
        "avx512_bf16",
        "avx512_fp16",
        "avx512_vnni",
        "avx512f",
        "avx_ne_convert",
        "avx_vnni",
        "avx_vnni_int8",
        "fma",
    }
)


@dataclass(frozen=True, slots=True)
class Tolerance:
    """How far a result in one precision may lie from torch's in float32."""

    # Of a raw logit.
    logit: float
    # Of the calibrated probability of a verdict that is computed again elsewhere.
    probability: float
    # Of a component of the embedding, in standard deviations of the photos that it was fitted on.
    embedding: float


TOLERANCES: dict[Precision, Tolerance] = {
    # Half of a percent point of probability at most: a quarter of the logit's difference.
    "f32": Tolerance(logit=0.02, probability=0.01, embedding=0.05),
    # 8 significant bits, two to three decimal digits; 0.09 of a logit was seen.
    "bf16": Tolerance(logit=0.15, probability=0.06, embedding=0.4),
    # 11 significant bits: an eighth of bfloat16's, beside what float32 may differ by.
    "f16": Tolerance(logit=0.04, probability=0.02, embedding=0.1),
    # A limit, not a measurement: no package has such a graph yet.
    "int8": Tolerance(logit=0.3, probability=0.12, embedding=0.8),
}


@dataclass(frozen=True, slots=True)
class Processor:
    """The machine's processor: its name, and the flags that matter here, sorted.

    No flags where they cannot be read: then it counts as one that has float32 alone.
    """

    model: str | None
    flags: tuple[str, ...]

    @property
    def has_bf16(self) -> bool:
        """Whether it multiplies bfloat16 itself. Others emulate it, or compute in float32."""
        return not {"avx512_bf16", "amx_bf16"}.isdisjoint(self.flags)

    @property
    def has_vnni(self) -> bool:
        """Whether it adds products of int8 up in 32 bits; others may saturate at 16."""
        return not {"avx512_vnni", "avx_vnni", "amx_int8"}.isdisjoint(self.flags)

    @property
    def facts(self) -> dict[str, Any]:
        """JSON-ready, as verdicts name it."""
        return asdict(self) | {"flags": list(self.flags)}


@functools.cache
def processor() -> Processor:
    """Return this machine's processor."""
    return read_processor(_CPUINFO)


def read_processor(cpuinfo: Path) -> Processor:
    """Return the first processor of a file like Linux' /proc/cpuinfo; there may be no such file."""
    try:
        text = cpuinfo.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return Processor(None, ())
    first = text.split("\n\n", maxsplit=1)[0]
    fields = {
        name.strip(): value.strip()
        for name, _, value in (line.partition(":") for line in first.splitlines())
    }
    flags = _RELEVANT.intersection(fields.get("flags", "").split())
    return Processor(fields.get("model name"), tuple(sorted(flags)))


def cpu_precisions(found: Processor) -> tuple[Precision, ...]:
    """Return what a CPU engine can compute in on `found`.

    int8 joins them with the first package that ships such a graph: with `has_vnni`, or where the
    package says that it was measured without.
    """
    return ("f32", "bf16") if found.has_bf16 else ("f32",)


class NoPrecisionError(ValueError):
    """The precision asked for is not to be had; `listed` says whether the package has it."""

    def __init__(self, message: str, *, listed: bool) -> None:
        super().__init__(message)
        self.listed = listed


def choose(
    listed: Sequence[Precision], supported: Sequence[Precision], wanted: Precision | None = None
) -> Precision:
    """Return `wanted`, or the first of a package's `listed` that the engine has `supported` here.

    Raises NoPrecisionError.
    """
    offered = f"the package was measured in {', '.join(listed)}"
    able = f"this engine and processor compute in {', '.join(supported)}"
    if wanted and wanted not in listed:
        raise NoPrecisionError(f"{offered}, not in {wanted}", listed=False)
    for precision in [wanted] if wanted else listed:
        if precision in supported:
            return precision
    raise NoPrecisionError(
        f"{able}, not in {wanted}" if wanted else f"{offered}, and {able}", listed=True
    )
