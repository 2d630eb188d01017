"""A small synthetic data set, and a real HTTP server that hands out its originals."""

import subprocess
import threading
import zipfile
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest

from services.training.data.sample import SampleSpec, write_sample


@pytest.fixture(scope="session")
def sample(tmp_path_factory):
    """A folder with 42 synthetic photos in 21 sources; not to be changed."""
    folder = tmp_path_factory.mktemp("sample")
    write_sample(folder, SampleSpec(per_group=2, side=64))
    return folder


class Handler(SimpleHTTPRequestHandler):
    """Serves a folder; `/busy/N/PATH` fails N times with 503 first, `/moved/PATH` redirects."""

    def do_GET(self):
        first, _, rest = self.path.lstrip("/").partition("/")
        self.server.asked.append(self.path)
        if first == "busy":
            times, _, rest = rest.partition("/")
            if self.server.asked.count(self.path) <= int(times):
                self.send_response(503)
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            self.path = f"/{rest}"
        if first == "moved":
            self.send_response(302)
            self.send_header("Location", f"/{rest}")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        super().do_GET()

    def log_message(self, *_):
        pass


@pytest.fixture
def server(tmp_path):
    """A server on this machine over an empty folder: `.url`, `.folder`, `.asked`."""
    folder = tmp_path / "served"
    folder.mkdir()
    made = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=folder))
    made.asked, made.folder = [], folder
    made.url = f"http://127.0.0.1:{made.server_port}"
    thread = threading.Thread(target=made.serve_forever, args=(0.05,))
    thread.start()
    yield made
    made.shutdown()
    thread.join()
    made.server_close()


@pytest.fixture
def make_wheel(tmp_path, monkeypatch):
    """A function that writes some-photos 1.0 with the given members, the only wheel pip finds."""
    index = tmp_path / "index"
    index.mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(index))

    def make(members, tags="py3-none-any"):
        info = "some_photos-1.0.dist-info"
        texts = {
            f"{info}/METADATA": "Metadata-Version: 2.1\nName: some-photos\nVersion: 1.0\n",
            f"{info}/WHEEL": f"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: {tags}\n",
            f"{info}/RECORD": "",
        }
        path = index / f"some_photos-1.0-{tags}.whl"
        with zipfile.ZipFile(path, "w") as wheel:
            for name, content in {**members, **texts}.items():
                wheel.writestr(name, content)
        return path

    return make


class Repository:
    """A git repository in `folder`, and bare copies of it below `mirrors`."""

    def __init__(self, folder, mirrors):
        self.folder, self.mirrors = folder, mirrors
        folder.mkdir()
        self.git("init", "-q")

    def git(self, *arguments):
        """Run git in the work tree and return what it prints."""
        identity = ("-c", "user.name=test", "-c", "user.email=test@example.org")
        command = ("git", "-C", str(self.folder), *identity, *arguments)
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    def commit(self, files):
        """Write files, or remove those that are None; return the commit's id."""
        for name, data in files.items():
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.unlink() if data is None else path.write_bytes(data)
        self.git("add", "--all")
        self.git("commit", "-q", "-m", "Change")
        return self.git("rev-parse", "HEAD")

    def bare(self, name):
        """Make a bare copy with all branches, as `OWNER+NAME/repo`; return its folder."""
        target = self.mirrors / name.replace("/", "+") / "repo"
        self.git("clone", "-q", "--mirror", ".", str(target))
        return target


@pytest.fixture
def repository(tmp_path):
    """An empty git repository."""
    return Repository(tmp_path / "work", tmp_path / "mirrors")
