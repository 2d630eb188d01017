"""Odd photos become the same pixels, bit for bit, for the trainer, the evaluation and a worker."""

import hashlib
import io
import struct
import zlib
from types import SimpleNamespace
from typing import ClassVar
from uuid import uuid4

import numpy as np
import pytest
from PIL import Image

from services.training.data.photos import Row
from services.training.evaluate.scoring import score
from services.training.fit import loader
from services.worker.engines.port import Predictions
from services.worker.inference.pipeline import InferencePipeline
from shared.core.ids import new_id
from shared.core.settings import REPOSITORY_ROOT
from shared.db.jobs.leases import LeasedImage
from shared.db.jobs.results import Judged
from shared.ml.package import load_package
from shared.ml.preprocess import crop_or_pad, preprocess
from shared.ml.spec import PreprocessSpec
from shared.storage.memory import MemoryObjectStore
from shared.storage.port import image_key, sha256_hex


def picture(width, height):
    """Without symmetry, with detail of every scale."""
    y, x = np.mgrid[0:height, 0:width]
    channels = [x * 7 + y * 3, x * y // 5 + 40, (x // 9) * 31 + (y // 7) * 17]
    return Image.fromarray((np.stack(channels, -1) % 256).astype(np.uint8))


def saved(image, fmt, **options):
    buffer = io.BytesIO()
    image.save(buffer, fmt, **options)
    return buffer.getvalue()


def rotated(fmt, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    return saved(picture(340, 310), fmt, exif=exif)


def translucent():
    image = picture(330, 320).convert("RGBA")
    alpha = np.add.outer(np.arange(320), np.arange(330)) % 256
    image.putalpha(Image.fromarray(alpha.astype(np.uint8)))
    return image


def sixteen_bit():
    values = np.add.outer(np.arange(310) * 97, np.arange(320) * 101) % 65536
    return Image.fromarray(values.astype(np.uint16))


def interlaced():
    """An Adam7 PNG, which Pillow reads but does not write."""
    pixels = np.asarray(picture(321, 313))
    lines = b""
    passes = ((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2))
    for top, left, rows, columns in (*passes, (1, 0, 2, 1)):
        for line in pixels[top::rows, left::columns]:
            lines += b"\x00" + line.tobytes()

    def chunk(kind, data):
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    header = struct.pack(">IIBBBBB", 321, 313, 8, 2, 0, 0, 1)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(lines)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


PHOTOS = {
    **{f"jpeg rotated {value}": rotated("JPEG", value) for value in (3, 6, 8)},
    "png rotated 6": rotated("PNG", 6),
    "webp rotated 5": rotated("WEBP", 5),
    "cmyk": saved(picture(320, 330).convert("CMYK"), "JPEG", quality=90),
    "progressive": saved(picture(320, 330), "JPEG", quality=80, progressive=True),
    "palette": saved(picture(310, 320).quantize(40), "PNG"),
    "palette with transparency": saved(picture(310, 320).quantize(40), "PNG", transparency=3),
    "gif": saved(picture(310, 320).quantize(64), "GIF"),
    "alpha": saved(translucent(), "PNG"),
    "grey and alpha": saved(translucent().convert("LA"), "PNG"),
    "webp alpha": saved(translucent(), "WEBP", lossless=True),
    "16 bit": saved(sixteen_bit(), "PNG"),
    "grey": saved(picture(320, 310).convert("L"), "PNG"),
    "grey jpeg": saved(picture(320, 310).convert("L"), "JPEG"),
    "bilevel": saved(picture(320, 310).convert("1"), "PNG"),
    "tiny": saved(picture(3, 2), "PNG"),
    "one pixel": saved(picture(1, 1), "PNG"),
    "small": saved(picture(90, 120), "JPEG"),
    "panorama": saved(picture(2600, 130), "PNG"),
    "tall": saved(picture(305, 2400), "PNG"),
    "interlaced": interlaced(),
}
SPEC = PreprocessSpec(resize_short=300, height=256, width=256)
# SHA-256 of the model input, where neither a lossy decoder nor a quantiser takes part: another
# Pillow must not change it, or a model would be served other pixels than it was trained on.
PINNED = {
    "png rotated 6": "c990f58c0eeb6e727e9f5b3595af857c1a878ff646d1d3b81ea10614953889d2",
    "alpha": "706df140c9cc86bc8cb847c7848ef913116852792f5b538d349c6ef6ca367a7c",
    "grey and alpha": "b4392315cbbd863c0edb12dfe6de1126be92de091e3f2373b2f7feb2c86e373c",
    "webp alpha": "706df140c9cc86bc8cb847c7848ef913116852792f5b538d349c6ef6ca367a7c",
    "16 bit": "a4d78aba588d5f1634207ae3f916670da2946e2a90eb3e796748dbdd9e3e3e21",
    "grey": "bcf8de151445d48e99b8eaf3d628c6425e7a289b18a6a9d114c49715e4e74e32",
    "tiny": "8478daa8af741130c89588019bed67a26e365970ba3277c545ffda9fb00f52ec",
    "one pixel": "fb0c903eafd34869d61f4a5cf7d154cd1b2a0063c586d34b444a1c2dbc57fd47",
    "panorama": "40f671f9fc5f08e3f90a1adbe8f095632c2bcb1b8f6cd4ab28ab78755836ab7c",
    "tall": "c45a0e2ac83bd5696b6a3b105d4d16fe2f7b4dc01c482dbf3ef9d9d5f4ec4782",
    "interlaced": "3dfee451216ebbd80e1568bf8b810951b0323e1c6d8559b648946c446d6ac49c",
}


class Recorder:
    """An engine, and a predictor, that keeps what it is given."""

    name = "recorder"
    precision = "f32"
    precisions: ClassVar[dict[str, str]] = {}
    batch_size = 8

    def __init__(self):
        self.seen = []

    def __call__(self, images):
        self.seen += [image.copy() for image in images]
        return np.zeros(len(images), np.float32)

    def predict(self, images):
        return Predictions(self(images), None)

    def explain(self, _image):
        return None


@pytest.fixture(scope="module")
def package():
    return load_package(REPOSITORY_ROOT / "models" / "0.3.1")


def by_worker(data, package):
    store, engine = MemoryObjectStore(), Recorder()
    digest = sha256_hex(data)
    key = image_key(uuid4(), digest)
    store.put(key, data, "image/jpeg")
    pipeline = InferencePipeline(store, package, engine, 1, 1, 0.0, 50_000_000)
    lease = LeasedImage(new_id(), new_id(), key, digest, len(data), 1, "request")
    (outcome,) = pipeline.run([lease])
    pipeline.close()
    assert isinstance(outcome, Judged)
    return engine.seen[0]


@pytest.mark.parametrize("name", PHOTOS)
def test_trainer_evaluation_and_worker_see_the_same_pixels(name, package, tmp_path, monkeypatch):
    data, spec = PHOTOS[name], package.manifest.preprocess
    path = tmp_path / "photo"
    path.write_bytes(data)
    row = Row(path, sha256_hex(data), 0, "real-photo", "group", "train")
    served = by_worker(data, package)

    recorder = Recorder()
    score([row], "clean", recorder, spec, 4)
    assert np.array_equal(recorder.seen[0], served)

    # The trainer's photo before its random history, which is the one thing it adds.
    monkeypatch.setattr(loader, "augment", lambda pixels, _config, _rng: pixels)
    config = SimpleNamespace(resize_short=spec.resize_short, augment=None)
    pixels, _ = loader.AugmentedPhotos((row,), config)[0, 0]
    assert np.array_equal(crop_or_pad(pixels, spec.height, spec.width), served)


@pytest.mark.parametrize("name", PINNED)
def test_the_pixels_do_not_change_with_a_library(name):
    pixels = preprocess(PHOTOS[name], SPEC)
    assert hashlib.sha256(pixels.tobytes()).hexdigest() == PINNED[name]


def test_interlacing_changes_nothing():
    plain = preprocess(saved(picture(321, 313), "PNG"), SPEC)
    assert np.array_equal(preprocess(PHOTOS["interlaced"], SPEC), plain)
