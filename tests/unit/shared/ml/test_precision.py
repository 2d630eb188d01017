"""What a processor has, and which of a package's precisions an engine takes."""

import pytest

from shared.ml.precision import (
    TOLERANCES,
    NoPrecisionError,
    Processor,
    choose,
    cpu_precisions,
    read_processor,
)

_CPUINFO = """processor\t: 0
vendor_id\t: GenuineIntel
model name\t: A Processor @ 2.00GHz
flags\t\t: fpu sse2 avx2 fma {more}
bugs\t\t: spectre_v1

processor\t: 1
model name\t: Another
flags\t\t: fpu avx512f
"""


@pytest.mark.parametrize(
    ("more", "bf16", "vnni"),
    [
        ("avx512f", False, False),
        ("avx512f avx512_vnni", False, True),
        ("avx_vnni", False, True),
        ("avx512f avx512_vnni avx512_bf16", True, True),
        ("avx512f avx512_vnni avx512_bf16 amx_bf16 amx_int8 amx_tile", True, True),
    ],
)
def test_the_first_processors_flags_say_what_it_has(tmp_path, more, bf16, vnni):
    path = tmp_path / "cpuinfo"
    path.write_text(_CPUINFO.format(more=more))
    found = read_processor(path)
    assert found.model == "A Processor @ 2.00GHz"
    assert set(found.flags) == {"avx2", "fma", *more.split()} - {"amx_tile"}
    assert list(found.flags) == sorted(found.flags)
    assert (found.has_bf16, found.has_vnni) == (bf16, vnni)
    assert cpu_precisions(found) == (("f32", "bf16") if bf16 else ("f32",))
    assert found.facts == {"model": found.model, "flags": list(found.flags)}


def test_where_nothing_can_be_read_it_has_float32_alone(tmp_path):
    found = read_processor(tmp_path / "missing")
    assert found == Processor(None, ())
    assert cpu_precisions(found) == ("f32",)
    (tmp_path / "arm").write_text("processor\t: 0\nFeatures\t: fp asimd bf16\n")
    assert read_processor(tmp_path / "arm") == Processor(None, ())


@pytest.mark.parametrize(
    ("listed", "supported", "wanted", "taken"),
    [
        (["f32"], ["f32", "bf16"], None, "f32"),
        (["bf16", "f32"], ["f32", "bf16"], None, "bf16"),
        (["bf16", "f32"], ["f32"], None, "f32"),
        (["bf16", "f32"], ["f32", "bf16"], "f32", "f32"),
        (["f32", "f16"], ["f32", "f16"], "f16", "f16"),
    ],
)
def test_the_first_listed_one_that_is_supported_is_taken(listed, supported, wanted, taken):
    assert choose(listed, supported, wanted) == taken


@pytest.mark.parametrize(
    ("listed", "supported", "wanted", "told"),
    [
        (["f32"], ["f32", "bf16"], "bf16", "measured in f32, not in bf16"),
        (["f32", "bf16"], ["f32"], "bf16", "compute in f32, not in bf16"),
        (["bf16"], ["f32"], None, "measured in bf16, and .* compute in f32"),
        (["f32", "int8"], ["f32"], "int8", "compute in f32, not in int8"),
    ],
)
def test_another_one_is_refused(listed, supported, wanted, told):
    with pytest.raises(NoPrecisionError, match=told) as refused:
        choose(listed, supported, wanted)
    assert refused.value.listed is (wanted in [None, *listed])


def test_fewer_bits_may_differ_by_more():
    for field in ("logit", "probability", "embedding"):
        limits = [getattr(TOLERANCES[each], field) for each in ("f32", "f16", "bf16", "int8")]
        assert limits == sorted(set(limits))
