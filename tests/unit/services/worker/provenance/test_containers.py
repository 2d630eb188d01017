"""Each way in which generators declare themselves is found in each container."""

import struct
import zlib

import pytest
from PIL import PngImagePlugin

from services.worker.provenance.c2pa_report import finding_of
from services.worker.provenance.containers import MAX_BLOCK, read_blocks
from services.worker.provenance.decide import Conclusive, conclusive
from services.worker.provenance.findings import Finding, Says
from services.worker.provenance.metadata import metadata_findings
from services.worker.provenance.vocabulary import generator_in
from tests.support.photos import jpeg
from tests.support.signing import SOURCE_TYPE, with_segment, with_xmp, xmp_packet
from tests.unit.services.worker.provenance.test_metadata import A1111, encoded
from tests.unit.services.worker.provenance.test_own_statements import STATED, user_comment

GUID = b"0123456789ABCDEF0123456789ABCDEF"
NOTE = f'<note:HasExtendedXMP xmlns:note="n">{GUID.decode()}</note:HasExtendedXMP>'
LABEL = '{"Label": "1", "ContentProducer": "豆包"}'


def decided(data: bytes) -> Finding | None:
    blocks = read_blocks(data)
    assert blocks is not None
    return conclusive(metadata_findings(blocks), Conclusive.STATED)


def extension(portion: bytes, whole: bytes, offset: int, guid: bytes = GUID) -> bytes:
    head = b"http://ns.adobe.com/xmp/extension/\x00" + guid
    return head + struct.pack(">II", len(whole), offset) + portion


def extended(*portions: bytes) -> bytes:
    data = with_xmp(jpeg(), NOTE)
    for portion in portions:
        data = with_segment(data, 0xE1, portion)
    return data


def test_extended_xmp_is_put_together_from_portions_in_any_order():
    packet = xmp_packet(STATED)
    first, second = extension(packet[:99], packet, 0), extension(packet[99:], packet, 99)

    assert decided(extended(first, second))
    assert decided(extended(second, first))


def test_extended_xmp_that_is_incomplete_or_nobodys_is_left():
    packet = xmp_packet(STATED)
    forgotten = extension(packet, packet, 0, guid=b"F" * 32)

    assert decided(extended(extension(packet[99:], packet, 99))) is None
    assert decided(extended(forgotten)) is None
    assert decided(extended(extension(b"", packet, 0)[:50])) is None


def raw(profile: str, content: bytes) -> str:
    digits = content.hex()
    lines = "\n".join(digits[at : at + 72] for at in range(0, len(digits), 72))
    return f"\n{profile}\n{len(content):8}\n{lines}\n"


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(kind: str, keyword: str, text: bytes) -> bytes:
    key, packed = keyword.encode() + b"\x00", zlib.compress(text)
    body = {
        "tEXt": key + text,
        "zTXt": key + b"\x00" + packed,
        "iTXt": key + b"\x00\x00\x00\x00" + text,
        "iTXt, compressed": key + b"\x01\x00\x00\x00" + packed,
    }[kind]
    plain = encoded("PNG")
    return plain[:33] + chunk(kind[:4].encode(), body) + plain[33:]


EXIF = user_comment(A1111).tobytes()
PACKET = xmp_packet(STATED)
KINDS = ("tEXt", "zTXt", "iTXt", "iTXt, compressed")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("keyword", "text", "found"),
    [
        ("XML:com.adobe.xmp", PACKET, "digital_source_type"),
        ("Raw profile type xmp", raw("xmp", PACKET).encode(), "digital_source_type"),
        ("Raw profile type APP1", raw("app1", EXIF).encode(), "generator_parameters"),
        ("Raw profile type exif", raw("exif", EXIF).encode(), "generator_parameters"),
        ("parameters", A1111.encode(), "generator_parameters"),
        ("AIGC", LABEL.encode(), "aigc_label"),
    ],
)
def test_every_kind_of_png_text_is_read(kind, keyword, text, found):
    decision = decided(png(kind, keyword, text))

    assert decision
    assert decision.kind == found


def test_the_producer_is_read_as_it_was_written():
    assert decided(png("tEXt", "AIGC", LABEL.encode())).found["ContentProducer"] == "豆包"


@pytest.mark.parametrize("text", ["", "\nexif\n 9\nxyz", "\nexif\n 99999999\n4", "\n\n\n"])
def test_a_malformed_profile_is_nothing(text):
    assert metadata_findings(read_blocks(png("tEXt", "Raw profile type exif", text.encode()))) == []


@pytest.mark.parametrize("resource", [True, False])
def test_iptc_in_a_raw_profile(resource):
    dataset = b"\x1c\x02\x6e" + struct.pack(">H", 19) + b"Made with Google AI"
    block = b"8BIM\x04\x04\x00\x00" + struct.pack(">I", len(dataset)) + dataset
    text = raw("iptc", block if resource else dataset).encode()

    (found,) = metadata_findings(read_blocks(png("zTXt", "Raw profile type iptc", text)))

    assert (found.found["where"], found.found["generator"]) == ("iptc", "Google AI")


@pytest.mark.parametrize("fmt", ["JPEG", "PNG", "WEBP", "AVIF"])
@pytest.mark.parametrize("way", ["xmp", "exif"])
def test_each_container_declares(fmt, way):
    exif = user_comment(A1111)
    exif[0x0131] = "WebUI"  # Pillow leaves out of PNG what has a comment alone
    options = {"exif": exif} if way == "exif" else {"xmp": PACKET}
    if fmt == "PNG" and way == "xmp":
        info = PngImagePlugin.PngInfo()
        info.add_itxt("XML:com.adobe.xmp", PACKET.decode(), zip=True)
        options = {"pnginfo": info}

    assert decided(encoded(fmt, **options))


def test_a_portion_that_claims_to_be_endless_is_left():
    packet = xmp_packet(STATED)
    head = b"http://ns.adobe.com/xmp/extension/\x00" + GUID + struct.pack(">II", MAX_BLOCK + 1, 0)

    assert decided(extended(head + packet)) is None


@pytest.mark.parametrize("label", ["c2pa.metadata", "cawg.metadata", "stds.iptc"])
@pytest.mark.parametrize("value", [True, False])
def test_a_manifests_metadata_assertion_is_a_claim(label, value):
    name = SOURCE_TYPE + "trainedAlgorithmicMedia"
    data = {"@context": {}, "Iptc4xmpExt:DigitalSourceType": {"@id": name} if value else name}
    report = {
        "active_manifest": "m",
        "manifests": {"m": {"assertions": [{"label": label, "data": data}]}},
        "validation_results": {"activeManifest": {"success": [], "failure": []}},
    }

    assert finding_of(report).says is Says.AI_GENERATED


@pytest.mark.parametrize(
    ("name", "generator"),
    [
        ("Imagen", "Google AI"),
        ("Grok", "Grok"),
        ("Sora", "Sora"),
        ("Qwen-Image", "Qwen-Image"),
        ("豆包", "Doubao"),
        ("豆包AI生成", "Doubao"),
        ("即梦AI", "Jimeng"),
        ("DALL·E 3", "DALL·E"),
        ("Gemini 2.5 Flash Image", "Google AI"),
    ],
)
def test_product_names_are_known(name, generator):
    assert generator_in(name) == generator
