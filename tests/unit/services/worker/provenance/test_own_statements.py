"""Which statements are of the picture itself: by structure, never by finding a word."""

import json
from typing import Any

import pytest
from PIL import Image, PngImagePlugin

from services.worker.provenance.containers import read_blocks
from services.worker.provenance.decide import Conclusive, conclusive
from services.worker.provenance.findings import Finding, Says
from services.worker.provenance.metadata import metadata_findings
from services.worker.provenance.xmp import read_xmp
from tests.support.photos import jpeg
from tests.support.signing import SOURCE_TYPE, with_segment, with_xmp, xmp_packet
from tests.unit.services.worker.provenance.test_metadata import A1111, XMP, encoded, text_png

GENERATED = SOURCE_TYPE + "trainedAlgorithmicMedia"
STATED = f"<Iptc4xmpExt:DigitalSourceType>{GENERATED}</Iptc4xmpExt:DigitalSourceType>"
LABEL = '{"Label": "1", "ContentProducer": "doubao", "ProduceID": "7"}'


def decides(data: bytes) -> Finding | None:
    blocks = read_blocks(data)
    assert blocks is not None
    return conclusive(metadata_findings(blocks), Conclusive.STATED)


def packet(*descriptions: str) -> bytes:
    return (
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF'
        ' xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"'
        ' xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/"'
        ' xmlns:xmpMM="http://ns.adobe.com/xap/1.0/mm/"'
        ' xmlns:TC260="http://www.tc260.org.cn/ns/AIGC/1.0/">'
        f"{''.join(descriptions)}</rdf:RDF></x:xmpmeta>"
    ).encode()


def with_packet(found: bytes) -> bytes:
    return with_segment(jpeg(), 0xE1, XMP + found)


@pytest.mark.parametrize(
    "about", ["", "uuid:5d7e", "photo.jpg"], ids=["empty", "uuid", "named as the first"]
)
def test_the_pictures_own_property_decides(about):
    first = f'<rdf:Description rdf:about="{about}" xmpMM:DocumentID="1"/>'
    second = f'<rdf:Description rdf:about="{about}">{STATED}</rdf:Description>'

    assert decides(with_packet(packet(first, second)))


@pytest.mark.parametrize(
    "form",
    [
        "<xmpMM:Ingredients><rdf:Bag><rdf:li>{}</rdf:li></rdf:Bag></xmpMM:Ingredients>",
        (
            '<xmpMM:Ingredients><rdf:Bag><rdf:li rdf:parseType="Resource">{}</rdf:li></rdf:Bag>'
            "</xmpMM:Ingredients>"
        ),
        (
            "<xmpMM:History><rdf:Seq><rdf:li><rdf:Description>{}</rdf:Description></rdf:li></rdf:Seq>"
            "</xmpMM:History>"
        ),
        "<xmpMM:DerivedFrom><rdf:Description>{}</rdf:Description></xmpMM:DerivedFrom>",
        '<xmpMM:DerivedFrom rdf:parseType="Resource">{}</xmpMM:DerivedFrom>',
        (
            "<xmpMM:Pantry><rdf:Bag><rdf:li><rdf:RDF><rdf:Description>{}</rdf:Description></rdf:RDF>"
            "</rdf:li></rdf:Bag></xmpMM:Pantry>"
        ),
    ],
)
def test_an_ingredients_or_a_history_entrys_property_does_not(form):
    data = with_xmp(jpeg(), form.format(STATED))  # with a prefix that nobody declared
    inner = packet(f'<rdf:Description rdf:about="">{form.format(STATED)}</rdf:Description>')

    assert decides(data) is None
    blocks = read_blocks(with_packet(inner))
    (found,) = metadata_findings(blocks)
    assert (found.kind, found.says) == ("digital_source_type", Says.NOTHING)
    assert found.found["value"] == "trainedAlgorithmicMedia"


def test_an_attribute_of_a_history_entry_does_not():
    entry = f'<rdf:li Iptc4xmpExt:DigitalSourceType="{GENERATED}"/>'
    history = f"<xmpMM:History><rdf:Seq>{entry}</rdf:Seq></xmpMM:History>"

    assert decides(with_packet(packet(f"<rdf:Description>{history}</rdf:Description>"))) is None


def test_a_description_of_another_resource_does_not():
    mine = '<rdf:Description rdf:about="uuid:1" xmpMM:DocumentID="1"/>'
    other = f'<rdf:Description rdf:about="uuid:2">{STATED}</rdf:Description>'

    assert decides(with_packet(packet(mine, other))) is None
    assert read_xmp(packet(mine, other)).elsewhere == [("DigitalSourceType", GENERATED)]


@pytest.mark.parametrize(
    "value",
    [
        f"not {GENERATED}",
        "https://example.com/digitalsourcetype/trainedAlgorithmicMedia",
        "We never use trainedAlgorithmicMedia",
    ],
)
def test_prose_is_no_source_type(value):
    body = f"<Iptc4xmpExt:DigitalSourceType>{value}</Iptc4xmpExt:DigitalSourceType>"

    assert decides(with_xmp(jpeg(), body)) is None


def test_a_prefix_that_was_declared_by_another_name_is_read():
    found = packet(f'<rdf:Description rdf:about="">{STATED}</rdf:Description>')

    assert decides(with_packet(found.replace(b"xmlns:Iptc4xmpExt", b"xmlns:Iptc4Ext")))


def user_comment(text: str) -> Image.Exif:
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0x9286] = b"ASCII\x00\x00\x00" + text.encode()
    return exif


@pytest.mark.parametrize(
    "data",
    [
        with_packet(packet(f"<rdf:Description><TC260:AIGC>{LABEL}</TC260:AIGC></rdf:Description>")),
        with_packet(
            packet(
                '<rdf:Description><TC260:AIGC rdf:parseType="Resource"><TC260:Label>1</TC260:Label>'
                "</TC260:AIGC></rdf:Description>"
            )
        ),
        text_png(AIGC=LABEL),
        text_png(AIGC=f'{{"AIGC": {LABEL}}}'),
        encoded("JPEG", exif=user_comment(f'{{"AIGC": {LABEL}}}')),
        encoded("WEBP", exif=user_comment(json.dumps({"AIGC": LABEL}))),
    ],
)
def test_chinas_label_decides(data):
    found = decides(data)

    assert found
    assert (found.kind, found.found["value"]) == ("aigc_label", "1")


@pytest.mark.parametrize(
    "data",
    [
        text_png(AIGC=LABEL.replace('"1"', '"2"')),
        text_png(AIGC=LABEL.replace('"1"', '"3"')),
        text_png(AIGC="AIGC"),
        text_png(AIGC="[1]"),
        text_png(Comment=LABEL),
        text_png(Description=f"AIGC {LABEL}"),
        encoded("JPEG", exif=user_comment(LABEL)),
        with_packet(
            packet(
                f"<rdf:Description><xmpMM:Pantry><rdf:Bag><rdf:li><TC260:AIGC>{LABEL}</TC260:AIGC>"
                "</rdf:li></rdf:Bag></xmpMM:Pantry></rdf:Description>"
            )
        ),
    ],
)
def test_a_guess_or_a_label_elsewhere_does_not(data):
    assert decides(data) is None


HONEST = {
    "Artist": "Marco Dalle Vigne",
    "Credit": "OpenAI Street Photography Club",
    "Software": "Stable Diffusion Retouch for cameras",
    "Comment": "Better than Midjourney! Steps: 4 of the stool, Sampler: none, Seed: oats",
    "Description": A1111,
    "Source": "made with Google AI",
}


@pytest.mark.parametrize("field", HONEST)
@pytest.mark.parametrize("rule", list(Conclusive))
def test_names_and_free_text_never_decide(field, rule):
    tags = {"Artist": 0x013B, "Software": 0x0131, "Description": 0x010E}
    exif = Image.Exif()
    if field in tags:
        exif[tags[field]] = HONEST[field]
    body = f"<photoshop:{field}>{HONEST[field]}</photoshop:{field}>"
    ai = "<Iptc4xmpExt:AISystemUsed>Midjourney removed a scratch</Iptc4xmpExt:AISystemUsed>"
    info = PngImagePlugin.PngInfo()
    info.add_text(field, HONEST[field])
    info.add_itxt("XML:com.adobe.xmp", xmp_packet(body + ai).decode())

    blocks = read_blocks(encoded("PNG", exif=exif, pnginfo=info))

    assert blocks is not None
    assert conclusive(metadata_findings(blocks), rule) is None


@pytest.mark.parametrize(
    ("added", "says"),
    [
        ("", Says.AI_GENERATED),
        (", Denoising strength: 0.4, Hires upscale: 2, Hires steps: 10", Says.AI_GENERATED),
        (", ADetailer denoising strength: 0.4", Says.AI_GENERATED),
        (", Denoising strength: 0.75", Says.AI_EDITED),
        (", Denoising strength: 1, Mask blur: 4", Says.AI_EDITED),
        (", Operations: img2img", Says.AI_EDITED),
    ],
)
def test_a_block_of_stable_diffusion_tells_what_it_started_from(added, says):
    (found,) = metadata_findings(read_blocks(text_png(parameters=A1111 + added)))

    assert found.says is says


@pytest.mark.parametrize(
    "texts",
    [
        {"parameters": "Steps: 20 in the stairs. Sampler: of teas"},
        {"parameters": "Steps: 3, Sampler: embroidery"},
        {"invokeai_metadata": '{"generation_mode": "img2img", "seed": 1}'},
        {"invokeai_metadata": "{}"},
        {"Dream": '"a mug" -s 50 -S 1 -I photo.png'},
        {"Comment": '{"sampler": "k", "seed": 5, "steps": 9, "request_type": "Img2ImgRequest"}'},
        {"parameters": '{"sui_image_params": {"prompt": "a", "seed": 1, "initimage": "x"}}'},
        {"generation_data": '{"prompt": "a", "seed": 1, "steps": 2, "initImageUrl": "x"}'},
    ],
)
def test_other_blocks_that_do_not_decide(texts):
    assert decides(text_png(**texts)) is None


def api(*nodes: tuple[str, dict[str, Any]]) -> str:
    return json.dumps(
        {str(at): {"class_type": kind, "inputs": wired} for at, (kind, wired) in enumerate(nodes)}
    )


PHOTO = ("LoadImage", {"image": "photo.png"})
EMPTY = ("EmptySD3LatentImage", {"width": 1024, "height": 1024, "batch_size": 1})
GRAPHS = {
    "background removal": (
        api(PHOTO, ("ImageRemoveBackground+", {"image": ["0", 0], "rembg_session": ["9", 0]}),
            ("SaveImage", {"images": ["1", 0]})),
        Says.AI_EDITED,
    ),
    "upscaling": (
        api(PHOTO, ("ImageUpscaleWithModel", {"image": ["0", 0], "upscale_model": ["9", 0]}),
            ("SaveImage", {"images": ["1", 0]})),
        Says.AI_EDITED,
    ),
    "img2img": (
        api(PHOTO, ("VAEEncode", {"pixels": ["0", 0], "vae": ["9", 2]}),
            ("KSampler", {"latent_image": ["1", 0], "model": ["9", 0], "denoise": 0.5}),
            ("VAEDecode", {"samples": ["2", 0]}), ("SaveImage", {"images": ["3", 0]})),
        Says.AI_EDITED,
    ),
    "generated parts on a photo": (
        api(PHOTO, EMPTY, ("KSampler", {"latent_image": ["1", 0]}),
            ("VAEDecode", {"samples": ["2", 0]}),
            ("ImageCompositeMasked", {"destination": ["0", 0], "source": ["3", 0]}),
            ("SaveImage", {"images": ["4", 0]})),
        Says.AI_EDITED,
    ),
    "an edit by instruction": (
        api(PHOTO, EMPTY, ("TextEncodeQwenImageEditPlus", {"image1": ["0", 0], "clip": ["9", 0]}),
            ("KSampler", {"latent_image": ["1", 0], "positive": ["2", 0]}),
            ("VAEDecode", {"samples": ["3", 0]}), ("SaveImage", {"images": ["4", 0]})),
        Says.AI_EDITED,
    ),
    "two results, one of a photo": (
        api(PHOTO, EMPTY, ("KSampler", {"latent_image": ["1", 0]}),
            ("VAEDecode", {"samples": ["2", 0]}), ("SaveImage", {"images": ["3", 0]}),
            ("SaveImage", {"images": ["0", 0]})),
        Says.AI_EDITED,
    ),
    "an unknown source": (
        api(("CameraRoll", {"index": 3}), ("VAEEncode", {"pixels": ["0", 0]}),
            ("KSampler", {"latent_image": ["1", 0]}), ("VAEDecode", {"samples": ["2", 0]}),
            ("SaveImage", {"images": ["3", 0]})),
        Says.NOTHING,
    ),
    "from noise, twice sampled": (
        api(EMPTY, ("SamplerCustomAdvanced", {"latent_image": ["0", 0], "noise": ["9", 0]}),
            ("LatentUpscaleBy", {"samples": ["1", 0]}),
            ("KSampler", {"latent_image": ["2", 0], "denoise": 0.5, "positive": ["9", 0]}),
            ("VAEDecode", {"samples": ["3", 0]}), ("SaveImage", {"images": ["4", 0]})),
        Says.AI_GENERATED,
    ),
    "from noise, guided by a photo's edges": (
        api(PHOTO, EMPTY, ("Canny", {"image": ["0", 0]}),
            ("ControlNetApply", {"image": ["2", 0], "conditioning": ["9", 0]}),
            ("KSampler", {"latent_image": ["1", 0], "positive": ["3", 0]}),
            ("VAEDecode", {"samples": ["4", 0]}), ("SaveImage", {"images": ["5", 0]})),
        Says.AI_GENERATED,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", GRAPHS)
def test_a_graph_decides_only_when_its_result_starts_from_noise(name):
    graph, says = GRAPHS[name]

    (found,) = metadata_findings(read_blocks(text_png(prompt=graph)))

    assert (found.found["generator"], found.says) == ("ComfyUI", says)
    assert bool(decides(text_png(prompt=graph))) is (says is Says.AI_GENERATED)


def workflow(start: str, kind: str = "LATENT", mode: int = 0) -> str:
    types = [(start, kind), ("KSampler", "LATENT"), ("VAEDecode", "IMAGE"), ("SaveImage", "IMAGE")]
    nodes = [
        {
            "id": at,
            "type": name,
            "mode": mode if at == 1 else 0,
            "inputs": [{"name": "x", "type": types[at - 1][1], "link": at}] if at else [],
        }
        for at, (name, _) in enumerate(types)
    ]
    links = [[at, at - 1, 0, at, 0, types[at - 1][1]] for at in (1, 2, 3)]
    return json.dumps({"nodes": nodes, "links": links})


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (workflow("EmptyLatentImage"), Says.AI_GENERATED),
        (workflow("LoadImage", "IMAGE"), Says.AI_EDITED),
        (workflow("EmptyLatentImage", mode=4), Says.NOTHING),
        (workflow("EmptyLatentImage", mode=2), Says.NOTHING),
        (json.dumps({"nodes": [], "links": []}), Says.NOTHING),
        (json.dumps({"nodes": [1, {"id": [], "inputs": 5}], "links": [[], 3]}), Says.NOTHING),
    ],
)
def test_the_editors_form_of_a_graph(text, says):
    (found,) = metadata_findings(read_blocks(text_png(workflow=text)))

    assert found.says is says


def test_what_was_executed_counts_before_the_editors_form():
    graph, _ = GRAPHS["background removal"]

    assert decides(text_png(prompt=graph, workflow=workflow("EmptyLatentImage"))) is None


def test_a_block_copied_along_with_an_edit_does_not_decide():
    graph, _ = GRAPHS["img2img"]

    assert decides(text_png(parameters=A1111, prompt=graph)) is None
