import pytest

from services.training.data.sources.http import HttpSource, Limits, SourceError

QUICK = Limits(attempts=3, pause_seconds=0.01, max_bytes=1000)


@pytest.fixture
def source():
    with HttpSource(QUICK, plain_http_hosts=frozenset({"127.0.0.1"})) as made:
        yield made


def test_a_body_is_fetched_under_a_name_with_spaces(server, source):
    (server.folder / "dining table [1].jpg").write_bytes(b"photo")
    assert source.get(f"{server.url}/dining table [1].jpg") == b"photo"


def test_a_busy_server_is_asked_again_and_not_more_often_than_allowed(server, source):
    (server.folder / "a.jpg").write_bytes(b"photo")
    assert source.get(f"{server.url}/busy/2/a.jpg") == b"photo"
    with pytest.raises(SourceError, match=r"503 \(3 attempts\)"):
        source.get(f"{server.url}/busy/9/a.jpg")
    assert server.asked.count("/busy/9/a.jpg") == 3


@pytest.mark.parametrize(
    ("path", "message"), [("none.jpg", "404"), ("moved/a.jpg", "302"), ("large.jpg", "1000 bytes")]
)
def test_a_hopeless_answer_is_not_asked_for_twice(server, source, path, message):
    (server.folder / "a.jpg").write_bytes(b"photo")
    (server.folder / "large.jpg").write_bytes(bytes(1001))
    with pytest.raises(SourceError, match=message):
        source.get(f"{server.url}/{path}")
    assert server.asked == [f"/{path}"]


def test_a_slow_body_ends_at_the_total_limit(server):
    (server.folder / "a.jpg").write_bytes(b"photo")
    limits = Limits(attempts=1, total_seconds=-1)
    with (
        HttpSource(limits, plain_http_hosts=frozenset({"127.0.0.1"})) as source,
        pytest.raises(SourceError, match="took longer"),
    ):
        source.get(f"{server.url}/a.jpg")


@pytest.mark.parametrize(
    "url",
    [
        "http://example.org/a.jpg",
        "file:///etc/hostname",
        "https://127.0.0.1/a.jpg",
        "https://[::1]/a.jpg",
        "https://localhost/a.jpg",
    ],
)
def test_only_public_hosts_are_asked_and_only_over_tls(url):
    with HttpSource(QUICK) as source, pytest.raises(SourceError, match=r"https|public"):
        source.get(url)
