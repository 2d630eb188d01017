"""Why one image failed. The codes are part of the API: add to them, never rename one."""

from enum import StrEnum


class ImageErrorCode(StrEnum):
    """Stable codes of `images[].error.code`."""

    EMPTY_FILE = "empty_file"
    UNSUPPORTED_TYPE = "unsupported_type"
    TOO_LARGE = "too_large"
    TOO_MANY_PIXELS = "too_many_pixels"
    TRUNCATED_IMAGE = "truncated_image"
    DAMAGED_IMAGE = "damaged_image"
    UNREADABLE_IMAGE = "unreadable_image"
    OBJECT_MISSING = "object_missing"
    INFERENCE_FAILED = "inference_failed"
    ATTEMPTS_EXHAUSTED = "attempts_exhausted"
    # Photos given by URL: the codes of shared.net.
    INVALID_URL = "invalid_url"
    BLOCKED_ADDRESS = "blocked_address"
    FETCH_TIMEOUT = "fetch_timeout"
    FETCH_TOO_LARGE = "fetch_too_large"
    FETCH_FAILED = "fetch_failed"
    FETCH_STATUS = "fetch_status"
    TOO_MANY_REDIRECTS = "too_many_redirects"


IMAGE_ERROR_HELP: dict[ImageErrorCode, str] = {
    ImageErrorCode.EMPTY_FILE: "The file has no bytes. Send the photo's content.",
    ImageErrorCode.UNSUPPORTED_TYPE: "The file is not a JPEG, PNG, WebP, GIF or AVIF image.",
    ImageErrorCode.TOO_LARGE: "The file has more bytes than allowed. Send a smaller file.",
    ImageErrorCode.TOO_MANY_PIXELS: "The image has more pixels than allowed. Scale it down.",
    ImageErrorCode.TRUNCATED_IMAGE: "The file ends before the image does. Upload it again.",
    ImageErrorCode.DAMAGED_IMAGE: (
        "Parts of the compressed pixels are missing or overwritten. Upload the original again."
    ),
    ImageErrorCode.UNREADABLE_IMAGE: "The file cannot be decoded. Save it again and resend.",
    ImageErrorCode.OBJECT_MISSING: "The stored bytes are gone. Upload the photo again.",
    ImageErrorCode.INFERENCE_FAILED: "The model could not judge this image. Report it to us.",
    ImageErrorCode.ATTEMPTS_EXHAUSTED: (
        "Judging this image ended a worker several times, so it is tried no more."
    ),
    ImageErrorCode.INVALID_URL: "The URL is not a clean http or https URL. Correct it.",
    ImageErrorCode.BLOCKED_ADDRESS: (
        "The URL leads to an address or port that is not public. Publish the photo, send it as a"
        " file, or have the operator allow the host."
    ),
    ImageErrorCode.FETCH_TIMEOUT: "The photo's server did not answer in time. Try again later.",
    ImageErrorCode.FETCH_TOO_LARGE: "The URL gave more bytes than allowed. Use a smaller file.",
    ImageErrorCode.FETCH_FAILED: (
        "The photo's server could not be reached or broke off. Check that the URL works."
    ),
    ImageErrorCode.FETCH_STATUS: (
        "The photo's server answered with an error. Check that the URL needs no login."
    ),
    ImageErrorCode.TOO_MANY_REDIRECTS: "The URL redirects too often. Give the photo's own URL.",
}
