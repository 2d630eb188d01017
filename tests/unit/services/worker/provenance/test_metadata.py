"""Plain metadata, in every container, well-formed and hostile."""

import io
import json
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, PngImagePlugin

from services.worker.provenance.containers import MAX_BLOCK, read_blocks
from services.worker.provenance.exif import read_exif
from services.worker.provenance.findings import Finding, Says, Strength, shown
from services.worker.provenance.metadata import MAX_FINDINGS, metadata_findings
from services.worker.provenance.vocabulary import generator_in
from services.worker.provenance.xmp import Xmp, read_xmp
from tests.support.photos import jpeg
from tests.support.signing import (
    SOURCE_TYPE,
    says_generated,
    with_segment,
    with_xmp,
    xmp_packet,
)

XMP = b"http://ns.adobe.com/xap/1.0/\x00"
A1111 = "a mug\nNegative prompt: blur\nSteps: 20, Sampler: Euler a, CFG scale: 7, Seed: 1"
COMFY = json.dumps(
    {
        "3": {"class_type": "KSampler", "inputs": {"seed": 1, "latent_image": ["5", 0]}},
        "5": {"class_type": "EmptyLatentImage", "inputs": {"width": 512, "height": 512}},
        "8": {"class_type": "VAEDecode", "inputs": {"samples": ["3", 0], "vae": ["4", 2]}},
        "9": {"class_type": "SaveImage", "inputs": {"images": ["8", 0]}},
    }
)


def findings(data: bytes) -> list[Finding]:
    blocks = read_blocks(data)
    assert blocks is not None
    return metadata_findings(blocks)


def encoded(fmt: str, **options) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.full((32, 32, 3), 90, np.uint8)).save(buffer, fmt, **options)
    return buffer.getvalue()


def exif_block(**tags: str) -> Image.Exif:
    numbers = {"Make": 0x010F, "Model": 0x0110, "Software": 0x0131, "ImageDescription": 0x010E}
    exif = Image.Exif()
    for name, value in tags.items():
        exif[numbers[name]] = value
    return exif


def text_png(**texts: str) -> bytes:
    info = PngImagePlugin.PngInfo()
    for key, value in texts.items():
        info.add_text(key, value)
    return encoded("PNG", pnginfo=info)


def test_a_photo_without_metadata_says_nothing():
    assert findings(jpeg()) == []


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("trainedAlgorithmicMedia", Says.AI_GENERATED),
        ("compositeWithTrainedAlgorithmicMedia", Says.AI_EDITED),
        ("digitalCapture", Says.CAMERA),
        ("screenCapture", Says.NOTHING),
    ],
)
@pytest.mark.parametrize(
    "form",
    [
        "<Iptc4xmpExt:DigitalSourceType>{}</Iptc4xmpExt:DigitalSourceType>",
        '<Iptc4xmpExt:DigitalSourceType rdf:resource="{}"/>',
        (
            "<Iptc4xmpExt:DigitalSourceType><rdf:Bag><rdf:li>{}</rdf:li></rdf:Bag>"
            "</Iptc4xmpExt:DigitalSourceType>"
        ),
    ],
)
def test_digital_source_type_in_each_form_of_xmp(name, says, form):
    (found,) = findings(with_xmp(jpeg(), form.format(SOURCE_TYPE + name)))

    assert (found.kind, found.says, found.strength) == (
        "digital_source_type",
        says,
        Strength.DECLARED,
    )
    assert found.found["value"] == name


def test_digital_source_type_as_attribute():
    packet = xmp_packet("").replace(
        b'rdf:about=""', f'Iptc4xmpExt:DigitalSourceType="{SOURCE_TYPE}digitalCapture"'.encode()
    )

    assert read_xmp(packet).own == [("DigitalSourceType", SOURCE_TYPE + "digitalCapture")]


def test_of_xmp_that_is_no_xml_what_stands_before_the_fault_counts():
    stated = f"<e:DigitalSourceType>{SOURCE_TYPE}trainedAlgorithmicMedia</e:DigitalSourceType>"
    before, after = xmp_packet(f"{stated}<open>"), xmp_packet(f"<open>{stated}")

    assert read_xmp(before).own == [("DigitalSourceType", SOURCE_TYPE + "trainedAlgorithmicMedia")]
    assert read_xmp(after).own == []
    assert read_xmp(after).elsewhere
    (found,) = findings(with_segment(jpeg(), 0xE1, XMP + after))
    assert found.says is Says.NOTHING


def test_an_entity_bomb_is_refused():
    bomb = (
        b'<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa">'
        + b"".join(b'<!ENTITY %c "&%c;&%c;&%c;">' % (b + 1, b, b, b) for b in range(97, 120))
        + b"]><Software>&x;</Software>"
    )

    assert read_xmp(bomb) == Xmp()


@pytest.mark.parametrize("fmt", ["JPEG", "PNG", "WEBP", "AVIF"])
def test_exif_and_xmp_in_every_container(fmt):
    exif = exif_block(Software="Midjourney v7")
    xmp = xmp_packet("<xmp:CreatorTool>Adobe Firefly</xmp:CreatorTool>")
    if fmt == "PNG":
        info = PngImagePlugin.PngInfo()
        info.add_itxt("XML:com.adobe.xmp", xmp.decode())
        data = encoded(fmt, exif=exif, pnginfo=info)
    else:
        data = encoded(fmt, exif=exif, xmp=xmp)

    named = {(each.found["where"], each.found["generator"]) for each in findings(data)}

    assert named == {("exif", "Midjourney"), ("xmp", "Adobe Firefly")}


def test_xmp_in_a_gif():
    packet = xmp_packet("<xmp:CreatorTool>DALL-E 3</xmp:CreatorTool>")
    gif = encoded("GIF")
    block = b"\x21\xff\x0bXMP DataXMP" + packet + b"\x01" + bytes(range(255, -1, -1)) + b"\x00"

    (found,) = findings(gif[:13] + block + gif[13:])

    assert found.found["generator"] == "DALL·E"


@pytest.mark.parametrize(
    ("texts", "generator"),
    [
        ({"parameters": A1111}, "Fooocus or Stable Diffusion WebUI"),
        ({"prompt": COMFY}, "ComfyUI"),
        ({"prompt": COMFY[:-1] + ', "changed": NaN}'}, "ComfyUI"),
        ({"invokeai_metadata": '{"generation_mode": "sdxl_txt2img", "seed": 1}'}, "InvokeAI"),
        ({"sd-metadata": '{"image": {"type": "txt2img", "seed": 1}}'}, "InvokeAI"),
        ({"Dream": '"a mug" -s 50 -S 12345 -W 512 -H 512 -C 7.5'}, "InvokeAI"),
        ({"Comment": '{"sampler": "k_euler", "seed": 5, "steps": 28}'}, "NovelAI"),
        ({"parameters": '{"sui_image_params": {"prompt": "a mug", "seed": 1}}'}, "SwarmUI"),
        ({"generation_data": '{"prompt": "a mug", "seed": 1, "steps": 20}'}, "TensorArt"),
    ],
)
def test_generation_parameters_in_png_text(texts, generator):
    (found,) = findings(text_png(**texts))

    assert (found.kind, found.says) == ("generator_parameters", Says.AI_GENERATED)
    assert found.found["generator"] == generator


def test_compressed_text_is_read_and_a_bomb_is_cut_off():
    info = PngImagePlugin.PngInfo()
    info.add_text("parameters", A1111, zip=True)
    bomb = b"Comment\x00\x00" + zlib.compress(b"a" * (40 * MAX_BLOCK))
    png = encoded("PNG", pnginfo=info)
    chunk = struct.pack(">I", len(bomb)) + b"zTXt" + bomb + struct.pack(">I", 0)
    blocks = read_blocks(png[:33] + chunk + png[33:])

    assert blocks is not None
    assert [found.kind for found in metadata_findings(blocks)] == ["generator_parameters"]
    assert max(len(text) for _, text in blocks.texts) == MAX_BLOCK


def test_ordinary_texts_say_nothing():
    assert findings(text_png(prompt="a mug", Comment="Created with GIMP", Title="gemini mug")) == []


def test_parameters_in_exif():
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0x9286] = b"UNICODE\x00" + A1111.encode("utf-16-be")

    (found,) = findings(encoded("JPEG", exif=exif))

    assert found.found["field"] == "UserComment"


def test_a_workflow_in_the_camera_tags_is_no_camera():
    exif = exif_block(Make='workflow:{"nodes":[],"links":[]}', Model="prompt:" + COMFY)

    (found,) = findings(encoded("WEBP", exif=exif))

    assert (found.kind, found.says) == ("generator_parameters", Says.AI_GENERATED)


def test_a_camera_is_named():
    (found,) = findings(encoded("JPEG", exif=exif_block(Make="Canon", Model="EOS R5")))

    assert (found.kind, found.says) == ("camera", Says.CAMERA)


def test_iptc_credit_names_a_generator():
    dataset = b"\x1c\x02\x6e" + struct.pack(">H", 19) + b"Made with Google AI"
    resource = b"8BIM\x04\x04\x00\x00" + struct.pack(">I", len(dataset)) + dataset

    (found,) = findings(with_segment(jpeg(), 0xED, b"Photoshop 3.0\x00" + resource))

    assert (found.found["where"], found.found["generator"]) == ("iptc", "Google AI")


@pytest.mark.parametrize(
    "innocent",
    [
        "Adobe Photoshop 26.1",
        "GIMP 2.10",
        "Picasa",
        "Flux Studio",
        "iPhone 16 Pro",
        "Krea",
        "",
        "Marco Dalle Vigne",
        "Gemini Photo Studio",
        "Imagen de producto",
        "Sora Takahashi",
    ],
)
def test_editors_and_phones_are_no_generators(innocent):
    assert generator_in(innocent) is None


def test_findings_are_bounded():
    tools = "".join(f"<xmp:CreatorTool>editor {i}</xmp:CreatorTool>" for i in range(60))

    assert len(findings(with_xmp(jpeg(), tools))) == MAX_FINDINGS


def test_what_counts_comes_first():
    data = with_xmp(says_generated(jpeg()), "<xmp:CreatorTool>Editor</xmp:CreatorTool>")

    assert [each.says for each in findings(data)] == [Says.AI_GENERATED, Says.NOTHING]


def test_shown_text_can_be_stored():
    assert shown("a\x00b\ud800\nc") == "a b c"
    assert len(shown("x" * 5000)) == 300


def _valid() -> list[bytes]:
    exif = exif_block(Make="Canon", Model="EOS", Software="Midjourney")
    xmp = xmp_packet(f'<Iptc4xmpExt:DigitalSourceType rdf:resource="{SOURCE_TYPE}x"/>')
    return [
        encoded("JPEG", exif=exif, xmp=xmp),
        encoded("WEBP", exif=exif, xmp=xmp),
        encoded("AVIF", exif=exif, xmp=xmp),
        text_png(parameters=A1111),
        encoded("GIF"),
    ]


VALID = _valid()


@given(
    st.sampled_from(VALID),
    st.lists(st.tuples(st.floats(0, 0.999), st.integers(0, 255)), max_size=30),
    st.floats(0.05, 1),
)
def test_damaged_files_never_raise(data, edits, kept):
    damaged = bytearray(data[: int(len(data) * kept)])
    for place, value in edits:
        damaged[int(place * len(damaged))] = value

    blocks = read_blocks(bytes(damaged))
    for found in metadata_findings(blocks) if blocks else ():
        json.dumps(found.entry(), allow_nan=False).encode()


@given(st.binary(max_size=400))
def test_damaged_exif_never_raises(block):
    for head in (b"II*\x00\x08\x00\x00\x00", b"MM\x00*\x00\x00\x00\x08"):
        read_exif(head + block)
