"""Child process that validates C2PA manifests: `python -m services.worker.provenance.c2pa_process`.

A native library reads a stranger's bytes here. When it hangs or crashes, only this process does.
Nothing is fetched: neither remote manifests nor certificate states.

Requests on stdin and answers on stdout are each a length (4 bytes, big-endian) and that many bytes.
First comes the PEM file of trust anchors, then pairs of MIME type and file. An answer is the JSON
of a finding's entry, `null` when there is no manifest, or `{"error": …}`.
"""

import contextlib
import io
import json
import resource
import struct
import sys
from typing import Any, BinaryIO

# Address space. Validation of a 20 MiB file takes some 100 MB.
_MAX_BYTES = 2 << 30
# Certificates for signing claims may carry one of these purposes: e-mail protection, document
# signing, C2PA claim signing (C2PA 2.2, 14.5.1), and Microsoft's own for its service.
_PURPOSES = (
    "1.3.6.1.5.5.7.3.4",
    "1.3.6.1.5.5.7.3.36",
    "1.3.6.1.4.1.62558.2.1",
    "1.3.6.1.4.1.311.76.59.1.9",
)


def settings(anchors: str) -> dict[str, Any]:
    """Return c2pa-rs's settings: offline, trusting the PEM certificates `anchors` alone."""
    return {
        "verify": {"verify_trust": True, "remote_manifest_fetch": False, "ocsp_fetch": False},
        "core": {"allowed_network_hosts": []},
        "trust": {
            **({"trust_anchors": anchors} if anchors.strip() else {}),
            "trust_config": "\n".join(_PURPOSES),
        },
    }


def send(stream: BinaryIO, *parts: bytes) -> None:
    """Write length-prefixed `parts`."""
    for part in parts:
        stream.write(struct.pack(">I", len(part)))
        stream.write(part)
    stream.flush()


def receive(stream: BinaryIO) -> bytes:
    """Read one length-prefixed part; raises EOFError at the stream's end."""
    head = stream.read(4)
    if len(head) < 4:
        raise EOFError
    (length,) = struct.unpack(">I", head)
    body = stream.read(length)
    if len(body) < length:
        raise EOFError
    return body


def main() -> None:
    """Answer until stdin ends, which it does with the parent at the latest."""
    resource.setrlimit(resource.RLIMIT_AS, (_MAX_BYTES, _MAX_BYTES))
    requests, answers = sys.stdin.buffer, sys.stdout.buffer
    with contextlib.suppress(EOFError, BrokenPipeError):
        context = _context(receive(requests).decode())
        while True:
            mime = receive(requests).decode()
            answer = _answer(context, mime, receive(requests))
            send(answers, json.dumps(answer).encode())


def _context(anchors: str) -> Any:
    import c2pa  # noqa: PLC0415  # only this process loads the library

    return c2pa.Context(c2pa.Settings.from_dict(settings(anchors)))


def _answer(context: Any, mime: str, data: bytes) -> Any:
    import c2pa  # noqa: PLC0415

    from services.worker.provenance.c2pa_report import finding_of  # noqa: PLC0415

    try:
        with c2pa.Reader(mime, io.BytesIO(data), context=context) as reader:
            return finding_of(json.loads(reader.json())).entry()
    except c2pa.C2paError as error:
        if "ManifestNotFound" in type(error).__name__:
            return None
        return {"error": str(error)[:500]}
    except Exception as error:  # noqa: BLE001  # a report of an unknown form, no memory
        return {"error": f"{type(error).__name__}: {error}"[:500]}


if __name__ == "__main__":
    main()
