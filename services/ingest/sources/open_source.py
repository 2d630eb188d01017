"""From a catalog's row to its opened source."""

from dataclasses import dataclass

from services.ingest.photos import Readers
from services.ingest.settings import IngestSettings
from services.ingest.sources.archive import ArchiveLimits, ArchiveSource
from services.ingest.sources.manifest import CsvSource, JsonLinesSource
from services.ingest.sources.parquet import ParquetSource
from services.ingest.sources.prefix import PrefixSource
from services.ingest.sources.rows import Source, SourceProblem
from shared.contracts.catalogs import CatalogErrorCode, CatalogFormat, import_prefix
from shared.core.errors import ObjectMissing
from shared.db.models import Catalog
from shared.net import GuardedClient
from shared.storage.files import S3Files


@dataclass(frozen=True, slots=True)
class Opener:
    """Opens catalogs.

    Attributes:
        manifests: where uploaded manifests and archives lie.
        imports: where tenants keep photos of their own.
    """

    settings: IngestSettings
    client: GuardedClient
    manifests: S3Files
    imports: S3Files

    def open(self, catalog: Catalog) -> Source:
        """Return the catalog's rows. Raises SourceProblem, StorageError."""
        photos = Readers(self.client, self.imports, catalog.tenant_id, self.settings.fetch_seconds)
        if catalog.manifest_key is None:
            root = import_prefix(catalog.tenant_id)
            return PrefixSource(self.imports, root, catalog.s3_prefix or "", photos)
        try:
            stream = self.manifests.open(catalog.manifest_key)
        except ObjectMissing as error:
            detail = "the stored file is gone"
            raise SourceProblem(CatalogErrorCode.SOURCE_MISSING, detail) from error
        match CatalogFormat(catalog.format):
            case CatalogFormat.CSV:
                return CsvSource(stream, photos)
            case CatalogFormat.JSONL:
                return JsonLinesSource(stream, photos)
            case CatalogFormat.PARQUET:
                return ParquetSource(stream, photos)
            case _:
                return ArchiveSource(stream, self._archive_limits())

    def _archive_limits(self) -> ArchiveLimits:
        return ArchiveLimits(
            self.settings.ingest_zip_max_entries,
            self.settings.ingest_zip_max_bytes,
            self.settings.ingest_zip_max_ratio,
        )
