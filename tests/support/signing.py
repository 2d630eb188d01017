"""Photos with metadata made on the spot: C2PA manifests of a test authority, XMP, EXIF, text."""

import datetime as dt
import io
import struct
from typing import Any

import c2pa
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier

SOURCE_TYPE = "http://cv.iptc.org/newscodes/digitalsourcetype/"
CLAIM_SIGNING = ObjectIdentifier("1.3.6.1.4.1.62558.2.1")
_PEM = serialization.Encoding.PEM


def manifest(
    source_type: str, action: str = "c2pa.created", parent: str | None = None
) -> dict[str, Any]:
    """A manifest with one action; `parent` names the ingredient that was opened."""
    actions: list[dict[str, Any]] = []
    if parent is not None:
        actions.append({"action": "c2pa.opened", "parameters": {"ingredientIds": [parent]}})
    if source_type:
        actions.append({"action": action, "digitalSourceType": SOURCE_TYPE + source_type})
    assertion = {"label": "c2pa.actions.v2", "data": {"actions": actions}}
    return {
        "claim_generator_info": [{"name": "test-generator", "version": "1"}],
        "assertions": [assertion],
    }


class Authority:
    """A root certificate, and signers under it."""

    def __init__(self, name: str = "Test Root") -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._certificate = self._issue(name, self._key.public_key(), is_root=True)
        self.pem = self._certificate.public_bytes(_PEM).decode()

    def sign(
        self,
        photo: bytes,
        claims: dict[str, Any],
        mime: str = "image/jpeg",
        purpose: ObjectIdentifier = ExtendedKeyUsageOID.EMAIL_PROTECTION,
        parent: bytes | None = None,
    ) -> bytes:
        """Return `photo` with a manifest of `claims`; `parent` is what it was opened from."""
        key = ec.generate_private_key(ec.SECP256R1())
        leaf = self._issue("Test Signer", key.public_key(), purpose=purpose)
        info = c2pa.C2paSignerInfo(
            alg=b"es256",
            sign_cert=leaf.public_bytes(_PEM) + self._certificate.public_bytes(_PEM),
            private_key=key.private_bytes(
                _PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            ),
            ta_url=None,
        )
        # Unchecked, so that unacceptable certificates can be signed with.
        settings = {
            "verify": {"verify_after_sign": False, "verify_after_reading": False},
            "builder": {"thumbnail": {"enabled": False}},
        }
        context = c2pa.Context(c2pa.Settings.from_dict(settings))
        signed = io.BytesIO()
        with (
            c2pa.Builder(claims, context=context) as builder,
            c2pa.Signer.from_info(info) as signer,
        ):
            if parent is not None:
                ingredient = {"title": "parent", "relationship": "parentOf", "label": "parent"}
                builder.add_ingredient(ingredient, mime, io.BytesIO(parent))
            builder.sign(signer, mime, io.BytesIO(photo), signed)
        return signed.getvalue()

    def _issue(
        self,
        name: str,
        public_key: ec.EllipticCurvePublicKey,
        is_root: bool = False,
        purpose: ObjectIdentifier | None = None,
    ) -> x509.Certificate:
        subject = _name(name)
        now = dt.datetime.now(dt.UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(subject if is_root else self._certificate.subject)
            .public_key(public_key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(days=1))
            .not_valid_after(now + dt.timedelta(days=30))
            .add_extension(x509.BasicConstraints(is_root, None), critical=True)
            .add_extension(_usage(is_root), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
        )
        if purpose is not None:
            authority = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
            builder = builder.add_extension(
                x509.ExtendedKeyUsage([purpose]), critical=False
            ).add_extension(authority, critical=False)
        return builder.sign(self._key, hashes.SHA256())


def _name(name: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Test Organization"),
            x509.NameAttribute(NameOID.COMMON_NAME, name),
        ]
    )


def _usage(is_root: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=is_root,
        crl_sign=is_root,
        encipher_only=False,
        decipher_only=False,
    )


def xmp_packet(body: str) -> bytes:
    """An XMP packet around the attributes or elements of one rdf:Description."""
    return (
        '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>'
        '<x:xmpmeta xmlns:x="adobe:ns:meta/">'
        '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"'
        ' xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/"'
        ' xmlns:xmp="http://ns.adobe.com/xap/1.0/"'
        ' xmlns:photoshop="http://ns.adobe.com/photoshop/1.0/">'
        f'<rdf:Description rdf:about="">{body}</rdf:Description>'
        '</rdf:RDF></x:xmpmeta><?xpacket end="w"?>'
    ).encode()


def with_segment(jpeg: bytes, marker: int, body: bytes) -> bytes:
    """Return the JPEG with one more segment at its start."""
    return jpeg[:2] + struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body + jpeg[2:]


def with_xmp(jpeg: bytes, body: str) -> bytes:
    """Return the JPEG with an XMP packet."""
    return with_segment(jpeg, 0xE1, b"http://ns.adobe.com/xap/1.0/\x00" + xmp_packet(body))


def says_generated(jpeg: bytes) -> bytes:
    """Return the JPEG with the plain statement that a generator made it."""
    value = SOURCE_TYPE + "trainedAlgorithmicMedia"
    return with_xmp(jpeg, f"<Iptc4xmpExt:DigitalSourceType>{value}</Iptc4xmpExt:DigitalSourceType>")
