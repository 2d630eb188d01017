"""Fetching shards from the Hugging Face hub, one at a time and only when they are read."""

from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from services.training.errors import TrainingError


class Hub:
    """Shards of one data set repository, kept below `folder` under their own names.

    A file that is there is taken as it is; one that was broken off goes on where it ended.
    """

    def __init__(
        self, repository: str, revision: str, patterns: tuple[str, ...], folder: Path
    ) -> None:
        """Raises TrainingError that says how to install `huggingface_hub` where it is missing."""
        self._library = _library()
        self._repository, self._revision = repository, revision
        self._patterns, self._folder = patterns, folder

    def names(self) -> list[str]:
        """Return the repository's files that fit a pattern.

        Raises TrainingError when the hub does not answer, or has none.
        """
        try:
            files = self._library.HfApi().list_repo_files(
                self._repository, repo_type="dataset", revision=self._revision
            )
        except Exception as error:
            raise TrainingError(self._failed("listed", error)) from error
        found = [name for name in files if any(fnmatch(name, each) for each in self._patterns)]
        if not found:
            raise TrainingError(
                f"{self._repository} at {self._revision} has no file like"
                f" {' or '.join(self._patterns)}: has its layout changed?"
            )
        return found

    def open(self, name: str) -> Path:
        """Return the shard's file, fetched first where it is not there."""
        path = self._folder / name
        if path.is_file():
            return path
        try:
            fetched = self._library.hf_hub_download(
                self._repository,
                name,
                repo_type="dataset",
                revision=self._revision,
                local_dir=str(self._folder),
            )
        except Exception as error:
            raise TrainingError(self._failed(f"asked for {name}", error)) from error
        return Path(fetched)

    def discard(self, name: str) -> None:
        """Remove a shard that has been read."""
        (self._folder / name).unlink(missing_ok=True)

    def _failed(self, what: str, error: Exception) -> str:
        return (
            f"the data set {self._repository} could not be {what}: {error}. Check the network, and"
            " `hf auth login` where the data set is gated; the same command goes on from here."
        )


def _library() -> Any:
    try:
        import huggingface_hub  # noqa: PLC0415 - only who downloads needs it
    except ImportError as error:
        raise TrainingError(
            "--download needs huggingface_hub: pip install huggingface_hub"
        ) from error
    return huggingface_hub
