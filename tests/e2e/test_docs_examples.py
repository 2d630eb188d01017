"""Every fenced `bash` and `python` example of the API's pages runs as it stands there."""

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from shared.contracts.scopes import Scope
from shared.core.settings import REPOSITORY_ROOT
from shared.db.engine import make_engine, make_session_factory
from shared.db.tenants.bootstrap import LOCAL_TENANT
from shared.db.tenants.keys import create_key, get_or_create_tenant
from shared.keys.secret_keys import new_secret_key
from tests.support.drift import store_check
from tests.support.photo_server import PhotoServer
from tests.support.photos import samples
from tests.support.servers import drop, provide
from tests.support.system import System

# Each page with the scopes that it says its examples need; they run with a key of just these.
SCOPES = {
    "api": [Scope.JOBS_WRITE, Scope.JOBS_READ],
    "webhooks": [Scope.WEBHOOKS],
    "catalogs": [Scope.CATALOGS],
    "drift": [Scope.JOBS_READ],
    "evidence": [Scope.JOBS_WRITE, Scope.JOBS_READ],
    "keys": [Scope.ADMIN],
}
PAGES = tuple(SCOPES)
# The setup of the first test starts the whole system and runs everything.
pytestmark = pytest.mark.timeout(900)

_FENCE = re.compile(r"^```(bash|python)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_EXAMPLE_SECONDS = 120


@dataclass(frozen=True)
class Example:
    """One block of a page."""

    page: str
    line: int
    language: str
    code: str


@dataclass(frozen=True)
class Ran:
    """An example with what became of it."""

    example: Example
    exit_code: int
    output: str


@dataclass(frozen=True)
class Run:
    """All examples, and the operations whose routes answered one of them with 2xx."""

    examples: list[Ran]
    answered: set[tuple[str, str]]
    document: Mapping[str, Mapping[str, Mapping[str, object]]]


def examples(page: str) -> list[Example]:
    text = (REPOSITORY_ROOT / "docs" / f"{page}.md").read_text(encoding="utf-8")
    return [
        Example(page, text.count("\n", 0, match.start()) + 1, match[1], match[2])
        for match in _FENCE.finditer(text)
    ]


def execute(example: Example, environment: Mapping[str, str], scratch: Path) -> Ran:
    """Run one example from the repository's root, with a scratch folder in place of /tmp."""
    code = example.code.replace("/tmp/", f"{scratch}/")
    command = (
        ["bash", "-euo", "pipefail", "-c", code]
        if example.language == "bash"
        else [sys.executable, "-W", "error", "-c", code]
    )
    process = subprocess.Popen(
        command,
        cwd=REPOSITORY_ROOT,
        env=dict(environment),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        output, _ = process.communicate(timeout=_EXAMPLE_SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        output, _ = process.communicate()
        output += f"\nnot done after {_EXAMPLE_SECONDS} s"
    return Ran(example, process.returncode, output)


def answered(url: str) -> set[tuple[str, str]]:
    """Return the (method, route) pairs that the gateway answered with 2xx, by its own count."""
    pairs = set()
    for family in text_string_to_metric_families(httpx.get(f"{url}/metrics").text):
        for sample in family.samples:
            labels = sample.labels
            if sample.name == "detector_http_requests_total" and labels["status"].startswith("2"):
                pairs.add((labels["method"], labels["route"]))
    return pairs


def page_keys(database_url: str) -> dict[str, str]:
    """Make a key for each page, all of the embedded stack's tenant, and a drift report of it."""
    engine = make_engine(database_url, pool_size=1)
    try:
        with make_session_factory(engine).begin() as session:
            tenant = get_or_create_tenant(session, LOCAL_TENANT)
            # What a drift service finds in an hour's photos.
            store_check(session, [tenant])
            return {
                page: create_key(session, tenant, page, scopes) for page, scopes in SCOPES.items()
            }
    finally:
        engine.dispose()


@pytest.fixture(scope="module")
def run(server_stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """Every example of every page, run in order against one whole system."""
    if shutil.which("curl") is None:
        assert not os.environ.get("CI"), "CI must have curl"
        pytest.skip("curl is not installed")
    scratch = tmp_path_factory.mktemp("docs")
    # curl exits with 0 for a problem unless it is told otherwise.
    (scratch / ".curlrc").write_text("fail-with-body\n")
    own = provide(server_stack)
    with PhotoServer({"mug.jpg": samples()[0][1]}) as photos:
        extra = {
            "DETECTOR_FETCH_ALLOWED_HOSTS": photos.host,
            # As `make up` has one.
            "DETECTOR_GATEWAY_EVIDENCE_KEYS": new_secret_key(),
        }
        system = System(own, scratch, extra)
        try:
            for start in (system.gateway, system.worker, system.webhooks, system.ingest):
                start()
            environment = {
                **os.environ,
                "CURL_HOME": str(scratch),
                "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
                "DETECTOR_URL": system.url,
                "PHOTO_URL": photos.url("mug.jpg"),
            }
            keys = page_keys(own.database_url)
            ran = [
                execute(example, {**environment, "DETECTOR_API_KEY": keys[page]}, scratch)
                for page in PAGES
                for example in examples(page)
            ]
            document = httpx.get(f"{system.url}/openapi.json").json()
            yield Run(ran, answered(system.url), document["paths"])
        finally:
            system.close()
            drop(own)


@pytest.mark.parametrize("page", PAGES)
def test_the_page_names_the_scopes_that_its_examples_need(page: str) -> None:
    text = (REPOSITORY_ROOT / "docs" / f"{page}.md").read_text(encoding="utf-8")
    for scope in SCOPES[page]:
        assert f"`{scope}`" in text


@pytest.mark.parametrize("page", PAGES)
def test_every_example_of_the_page_works_as_written(run: Run, page: str) -> None:
    of_page = [ran for ran in run.examples if ran.example.page == page]
    assert {ran.example.language for ran in of_page} == {"bash", "python"}
    broken = [ran for ran in of_page if ran.exit_code != 0]
    assert not broken, "\n".join(
        f"docs/{page}.md:{ran.example.line}: exit {ran.exit_code}\n{ran.output[-2000:]}"
        for ran in broken
    )


def test_every_operation_occurs_in_an_example_that_works(run: Run) -> None:
    operations = {
        (method.upper(), path) for path, methods in run.document.items() for method in methods
    }
    assert len(operations) > 30
    assert operations - run.answered == set()
