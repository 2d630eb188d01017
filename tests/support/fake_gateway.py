"""A small HTTP server that speaks the jobs API, for tests of its clients.

Real sockets and real threads; what it answers is scripted per path, so that clients meet refusals,
broken connections and late verdicts on demand.
"""

import json
import re
import threading
from collections import defaultdict, deque
from collections.abc import Callable
from datetime import UTC, datetime
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from uuid import uuid4

KEY = "apd_a-key-of-the-fake-gateway"
MODEL = "b0-test.1"

Answer = tuple[int, dict[str, str], dict[str, Any] | str]
HANG_UP = "hang up"


def problem(status: int, slug: str, detail: str, **extra: Any) -> Answer:
    """Return a problem as the gateway sends it."""
    body = {"type": f"/problems/{slug}", "title": slug, "status": status, "detail": detail}
    return status, {"Content-Type": "application/problem+json"}, {**body, **extra}


def verdict(name: str) -> dict[str, Any]:
    """Return the verdict of a photo called `name`: it begins with ai, real or anything else."""
    label, probability = {"ai": ("ai_generated", 0.97), "re": ("real", 0.04)}.get(
        name[:2], ("uncertain", 0.5)
    )
    confidence = max(probability, 1 - probability)
    return {
        "label": label,
        "probability": probability,
        "confidence": confidence,
        "model_version": MODEL,
    }


class FakeGateway:
    """`script[(method, path)]` holds answers to give first (path `*`: any); then it behaves as
    the API says.

    Photos whose name begins with `bad` fail inside their job; a job is finished by its first read,
    or never while `finish` is False.
    """

    def __init__(self) -> None:
        self.script: dict[tuple[str, str], deque[Answer | str]] = defaultdict(deque)
        self.requests: list[tuple[str, str]] = []
        self.uploads: list[dict[str, Any]] = []
        self.jobs: dict[str, dict[str, Any]] = {}
        self.accepted: dict[str, dict[str, Any]] = {}  # by Idempotency-Key
        self.lose_answers = 0  # of so many jobs that were accepted
        self.finish = True
        self.ready: Answer = (200, {}, {"status": "ok", "version": "0.1.0", "checks": {}})
        # Raises or answers for one upload before it is accepted.
        self.on_upload: Callable[[dict[str, Any]], Answer | str | None] = lambda _upload: None
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def count(self, method: str, path: str) -> int:
        """Return how many requests reached `path`."""
        return self.requests.count((method, path))

    def answer(self, method: str, path: str, headers: Message, body: bytes) -> Any:
        """Return what to say to one request: (status, headers, body), or HANG_UP."""
        self.requests.append((method, path))
        if scripted := self.script[method, path] or self.script[method, "*"]:
            return scripted.popleft()
        if path == "/health/ready":
            return self.ready
        if path == "/health/live":
            return 200, {}, {"status": "ok", "version": "0.1.0"}
        if headers.get("Authorization") != f"Bearer {KEY}":
            return problem(401, "unauthenticated", "the API key is unknown")
        return self._accept(headers, body) if method == "POST" else self._job(path)

    def _job(self, path: str) -> Any:
        job = self.jobs.get(path.removeprefix("/jobs/"))
        if job is None:
            return problem(404, "not-found", "there is no such job")
        if self.finish:
            finish(job)
        return 200, {}, job

    def _accept(self, headers: Message, body: bytes) -> Any:
        upload = parse_upload(headers["Content-Type"], body)
        self.uploads.append(upload)
        if (refusal := self.on_upload(upload)) is not None:
            return refusal
        key = headers.get("Idempotency-Key") or str(uuid4())
        job = self.accepted.setdefault(key, new_job(upload))
        self.jobs[job["id"]] = job
        if self.lose_answers:
            self.lose_answers -= 1
            return HANG_UP
        return 202, {"Location": job["links"]["self"]}, job

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        fake = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _serve(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                path = self.path.partition("?")[0]
                answer = fake.answer(self.command, path, self.headers, body)
                if answer == HANG_UP:
                    self.close_connection = True
                    return
                status, extra, content = answer
                data = (content if isinstance(content, str) else json.dumps(content)).encode()
                self.send_response(status)
                for name, value in {"Content-Type": "application/json", **extra}.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            do_GET = do_POST = do_DELETE = _serve  # noqa: N815  # names of the standard library

            def log_message(self, *args: Any) -> None:
                """Stay silent."""

        return Handler


def parse_upload(content_type: str, body: bytes) -> dict[str, Any]:
    """Return the fields of a multipart body and its files as `images` [(name, bytes)]."""
    boundary = b"--" + content_type.partition("boundary=")[2].encode()
    upload: dict[str, Any] = {"images": []}
    for part in body.split(boundary)[1:-1]:
        head, _, content = part.removesuffix(b"\r\n").partition(b"\r\n\r\n")
        names = dict(re.findall(r'(\w+)="([^"]*)"', head.decode()))
        if "filename" in names:
            upload["images"].append((names["filename"], content))
        else:
            upload[names["name"]] = content.decode()
    return upload


def new_job(upload: dict[str, Any]) -> dict[str, Any]:
    """Return the job of `upload`, queued."""
    job_id = str(uuid4())
    return {
        "id": job_id,
        "status": "queued",
        "created_at": datetime.now(UTC).isoformat(),
        "listing_id": upload.get("listing_id"),
        "category": upload.get("category"),
        "metadata": json.loads(upload.get("metadata", "{}")),
        "images": [
            {"id": str(uuid4()), "filename": name, "status": "queued"}
            for name, _content in upload["images"]
        ],
        "links": {"self": f"/jobs/{job_id}", "wait": f"/jobs/{job_id}?wait=30"},
    }


def finish(job: dict[str, Any]) -> None:
    """Give every image its verdict or error."""
    for image in job["images"]:
        if image["filename"].startswith("bad"):
            image["status"] = "failed"
            image["error"] = {"code": "truncated_image", "detail": "The file ends too early."}
        else:
            image["status"] = "succeeded"
            image["verdict"] = verdict(image["filename"])
    judged = [image for image in job["images"] if "verdict" in image]
    all_judged = len(judged) == len(job["images"])
    job["status"] = "succeeded" if all_judged else "partial" if judged else "failed"
    if judged:
        worst = max(judged, key=lambda image: image["verdict"]["probability"])
        job["verdict"] = {
            "label": worst["verdict"]["label"],
            "probability": worst["verdict"]["probability"],
            "reason": "the gravest photo decides",
            "image_id": worst["id"],
        }
