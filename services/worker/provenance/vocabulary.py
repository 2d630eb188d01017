"""The words that metadata speaks: IPTC's digital source types and the names of generators.

Source types: https://cv.iptc.org/newscodes/digitalsourcetype/ (IPTC NewsCodes, read 2026-11).
"""

import re

from services.worker.provenance.findings import Says

# Types that are absent say nothing about generators: artwork, screenshots, human edits.
_SOURCE_TYPES = {
    "trainedAlgorithmicMedia": Says.AI_GENERATED,
    "compositeWithTrainedAlgorithmicMedia": Says.AI_EDITED,
    "compositeSynthetic": Says.AI_EDITED,
    "digitalCapture": Says.CAMERA,
    "computationalCapture": Says.CAMERA,
    "negativeFilm": Says.CAMERA,
    "positiveFilm": Says.CAMERA,
}
_BY_LOWER = {name.lower(): says for name, says in _SOURCE_TYPES.items()}

# Names as generators and their front ends write them. Each should be unmistakable: people, cameras
# and editors have names that contain such words. No name decides a verdict.
_GENERATORS = {
    "Adobe Firefly": r"\b(adobe )?firefly\b",
    "AUTOMATIC1111": r"\b(automatic1111|stable-diffusion-webui)\b",
    "Bing Image Creator": r"\b(bing image creator|microsoft designer)\b",
    "ChatGPT": r"\b(chatgpt|gpt-image|gpt-4o)\b",
    "ComfyUI": r"\bcomfyui\b",
    "DALL·E": r"\b(dall[·\-.]e|dalle[- ]?[23])\b",
    "Draw Things": r"\bdraw things\b",
    "Easy Diffusion": r"\beasy diffusion\b",
    "Flux": r"\b(flux\.[12]|black forest labs)",
    "Fooocus": r"\bfooocus\b",
    "Doubao": r"豆包|\bdoubao\b",
    "Google AI": r"\b(google (generative )?ai|google imagen|nano banana)\b|^imagen$|\bimagen \d"
    r"|^gemini$|\b(google gemini|gemini (\d|pro|flash|ultra|image|app\b)|with gemini)",
    "Grok": r"\bgrok (imagine|image|\d)|\bxai grok\b|^grok$",
    "Ideogram": r"\bideogram(\.ai)?\b",
    "InvokeAI": r"\binvoke ?ai\b",
    "Hunyuan": r"\bhunyuan(image)?\b|混元",
    "Jimeng": r"\b(jimeng|dreamina|seedream)\b|即梦",
    "Kling": r"\bkling ?ai\b|^kling$|可灵",
    "Krea": r"\bkrea\.?ai\b",
    "Leonardo.Ai": r"\bleonardo\.?ai\b",
    "Meta AI": r"\b(meta ai|imagined with ai)\b",
    "Midjourney": r"\bmidjourney\b",
    "NovelAI": r"\bnovelai\b",
    "Sora": r"^sora( \d)?$|\b(openai sora|sora 2)\b",
    "OpenAI": r"\bopenai\b",
    "Qwen-Image": r"\b(qwen[- ]?image|tongyi wanxiang)\b|通义",
    "Recraft": r"\brecraft(\.ai)?\b",
    "Runway": r"\brunway ?ml\b",
    "Stability AI": r"\b(stability ai|stable ?image|dreamstudio)\b",
    "Stable Diffusion": r"\bstable[- ]?diffusion\b",
    "SwarmUI": r"\b(stable)?swarmui\b",
}
_PATTERNS = [(name, re.compile(pattern, re.IGNORECASE)) for name, pattern in _GENERATORS.items()]
# The vocabulary's address, its short form, or the bare name; prose around it is no source type.
_SOURCE_TYPE = re.compile(
    r"(?:https?://cv\.iptc\.org/newscodes/digitalsourcetype/|digsrctype:)?(\w+)/?", re.IGNORECASE
)


def source_type(value: str) -> str:
    """Return the name of a digital source type, given as its IPTC address or bare.

    Of anything else the text as it is, which `source_says` takes for nothing.
    """
    match = _SOURCE_TYPE.fullmatch(value.strip())
    return match.group(1) if match else value.strip()


def source_says(name: str) -> Says:
    """Return what the digital source type `name` says, in whatever case."""
    return _BY_LOWER.get(name.lower(), Says.NOTHING)


def generator_in(text: str) -> str | None:
    """Return the name of the image generator that `text` names, if any."""
    head = text[:1000]
    return next((name for name, pattern in _PATTERNS if pattern.search(head)), None)
