"""The web page's addresses: `?job=ID` and `?photo=ID` open what they name, and can be shared."""

from uuid import UUID

JOB = "job"
PHOTO = "photo"


def photo_link(photo: UUID, page: str = "") -> str:
    """Return the address of a photo below `page`, by default relative to the page itself."""
    return f"{page}?{PHOTO}={photo}"
