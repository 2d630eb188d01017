"""Checks who signed an evidence bundle."""

from collections.abc import Sequence

from services.worker.evidence.verify import Check
from shared.keys.evidence import EvidenceKey, is_signed, read_public_keys
from shared.present.evidence import Bundle, BundleError


def check_signature(bundle: Bundle, known: Sequence[EvidenceKey] | None) -> Check:
    """Return what the signature over the bundle's facts is worth.

    With the `known` keys of the system that it should come from, only a signature by one of them
    holds. Without, an unsigned bundle passes, and a signed one when it was not changed since.
    Raises BundleError for a public key of an unknown form.
    """
    if bundle.signature is None or bundle.public_key is None:
        return Check("signature", "none", "not signed", holds=known is None)
    try:
        (key,) = read_public_keys(bundle.public_key)
        intact = is_signed(key.pem, bundle.signature, bundle.signed)
    except ValueError as error:
        raise BundleError(f"the bundle's public key cannot be used: {error}") from error
    if not intact:
        return Check("signature", f"by key {key.id}", "of other facts than these", holds=False)
    if known is None:
        now = "intact; whose key that is, --public-key tells"
        return Check("signature", f"by key {key.id}", now, holds=True)
    named = key.id in {each.id for each in known}
    now = "intact, by a key that was given" if named else "intact, by a key that was not given"
    return Check("signature", f"by key {key.id}", now, named)
