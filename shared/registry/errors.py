"""Why the registry could not do what was asked."""

from shared.core.errors import DetectorError


class RegistryError(DetectorError):
    """The registry is away, was never made, or refused; trying again may help."""


class VersionMissing(RegistryError):
    """The registry has no such version or alias."""


class PackageDamaged(RegistryError):
    """What was downloaded is not what was registered (another SHA-256)."""


class TrunkMissing(RegistryError):
    """The registry does not hold the trunk that a package needs."""
