"""What can go wrong before or during training, told so that the reader can mend it."""

from shared.core.errors import DetectorError


class TrainingError(DetectorError):
    """Training cannot start or go on: a folder, file or setting is missing or wrong."""


class ParityError(DetectorError):
    """The exported graph does not compute what torch computes."""
