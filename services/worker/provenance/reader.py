"""Everything that a file says of its own origin."""

from services.worker.provenance.c2pa import ManifestReader
from services.worker.provenance.containers import read_blocks
from services.worker.provenance.findings import Finding, Kind, Says, Strength, shown
from services.worker.provenance.metadata import metadata_findings


class ProvenanceReader:
    """Reads photos' metadata. Thread-safe; `close` ends its child process."""

    def __init__(self, manifests: ManifestReader) -> None:
        self._manifests = manifests

    def read(self, data: bytes) -> list[Finding]:
        """Return the findings in one image file, [] when it says nothing of its origin.

        Never raises: metadata that cannot be read is a finding, and no fault of the photo.
        """
        try:
            blocks = read_blocks(data)
            if blocks is None:
                return []
            manifest = self._manifests.read(data, blocks.mime) if blocks.c2pa else None
            return [*([manifest] if manifest else []), *metadata_findings(blocks)]
        except Exception as error:  # noqa: BLE001  # hostile bytes: whatever it is, it is theirs alone
            reason = shown(f"{type(error).__name__}: {error}")
            return [
                Finding(
                    Kind.PROVENANCE,
                    Says.NOTHING,
                    Strength.UNREAD,
                    "The file's metadata could not be read.",
                    {"reason": reason},
                )
            ]

    def close(self) -> None:
        """Release the child process."""
        self._manifests.close()
