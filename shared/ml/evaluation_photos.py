"""What a package's network says of each photo of its evaluation: one NumPy archive."""

from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from shared.ml.errors import PackageError

PHOTOS_NAME = "evaluation_photos.npz"
# Of a file that is no JPEG, or whose tables cannot be read.
UNKNOWN_QUALITY = -1

_TYPES: dict[str, type[np.generic]] = {
    "logit": np.float32,
    "second_logit": np.float32,
    "label": np.uint8,
    "split": np.str_,
    "source": np.str_,
    "format": np.str_,
    "encoder_quality": np.int16,
    "width": np.int32,
    "height": np.int32,
}


@dataclass(frozen=True, slots=True)
class EvaluationPhotos:
    """The test photos as they are stored (tier `clean`), one row each; arrays of `[N]`.

    The archive's arrays bear the same names.
    """

    # Raw, float32.
    logit: NDArray[np.float32]
    # Of the second look, float32; NaN where no operating point of the package asks for one.
    second_logit: NDArray[np.float32]
    # uint8, 1 is AI-generated.
    label: NDArray[np.uint8]
    # Of the data set: `test_unseen_source` or `test_unseen_generator`. No photo is in two.
    split: NDArray[np.str_]
    # The generator, or of a real photo the shop or the collection that it is from.
    source: NDArray[np.str_]
    # As `shared.ml.formats.header.ImageHeader.format` says it.
    format: NDArray[np.str_]
    # As `shared.ml.formats.encoder_quality` estimates it, int16; UNKNOWN_QUALITY without one.
    encoder_quality: NDArray[np.int16]
    # Pixels, int32.
    width: NDArray[np.int32]
    height: NDArray[np.int32]
    # float16 `[N, D]`; None of a network without that output.
    embedding: NDArray[np.float16] | None = None

    def __len__(self) -> int:
        return len(self.logit)


def write_photos(photos: EvaluationPhotos, path: Path) -> None:
    """Write the archive; the same photos make the same bytes."""
    arrays = {name: np.asarray(getattr(photos, name), kind) for name, kind in _TYPES.items()}
    if photos.embedding is not None:
        arrays["embedding"] = np.asarray(photos.embedding, np.float16)
    with path.open("wb") as stream:
        np.savez_compressed(stream, allow_pickle=False, **arrays)


def read_photos(source: Path | BinaryIO) -> EvaluationPhotos:
    """Read the archive. Raises PackageError when it cannot be read or has another form."""
    try:
        with np.load(source, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
    except (OSError, ValueError, EOFError, BadZipFile) as error:
        raise PackageError(f"the evaluation's photos cannot be read: {error}") from error
    missing = sorted(_TYPES.keys() - arrays.keys())
    if missing:
        raise PackageError(f"the evaluation's photos lack {', '.join(missing)}")
    columns = {name: arrays[name] for name in _TYPES}
    embedding = arrays.get("embedding")
    rows = len(columns["logit"])
    shapes = [each.shape == (rows,) for each in columns.values()]
    if embedding is not None:
        shapes.append(embedding.ndim == 2 and len(embedding) == rows)
    if not all(shapes) or not np.isfinite(columns["logit"]).all():
        raise PackageError("the evaluation's photos are no table of one row per photo")
    return EvaluationPhotos(
        **{name: each.astype(_TYPES[name]) for name, each in columns.items()},
        embedding=None if embedding is None else embedding.astype(np.float16),
    )
