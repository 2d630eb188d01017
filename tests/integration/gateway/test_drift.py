"""`/drift`: states, pages of reports, whole reports as JSON and as pages; each tenant's own."""

from html.parser import HTMLParser
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text

from shared.contracts.scopes import Scope
from shared.db.drift import reading
from shared.db.tenants.keys import get_or_create_tenant
from tests.integration.gateway.helpers import image_files, judge, slug
from tests.support.drift import MODEL, report_body, store_check
from tests.support.photos import smallest_sample

DRIFTED = {
    "severity": "critical",
    "window_severity": "critical",
    "cause": {
        "kind": "new_cluster",
        "model_relevant": True,
        "headline": "9.6% of the photos are of a new kind.",
        "evidence": ["A ball in embedding space gained 9.4% of the traffic."],
    },
}
HOSTILE = "</td><script>alert('mugs')</script><img src=x onerror=alert(1)>\x01 & \"cups\""


class Shop:
    """A tenant of one test with its client."""

    def __init__(self, gateway, name):
        self.key = gateway.new_key(name, [Scope.JOBS_READ, Scope.JOBS_WRITE])
        self.name = name
        self.sessions = gateway.sessions
        self.client = gateway.client(self.key)
        with gateway.sessions.begin() as session:
            self.tenant = get_or_create_tenant(session, name)

    def check(self, window=0, **changes) -> str:
        with self.sessions.begin() as session:
            return str(store_check(session, [self.tenant], window, **changes)[0])

    def listed(self, **params) -> list[str]:
        response = self.client.get("/drift/reports", params=params)
        assert response.status_code == 200, response.text
        return [report["id"] for report in response.json()["data"]]


@pytest.fixture
def shop(gateway, request):
    shop = Shop(gateway, request.node.name)
    yield shop
    shop.client.close()
    # The next test's windows are the same hours.
    with gateway.sessions.begin() as session:
        session.execute(text("TRUNCATE drift_runs, drift_states, drift_references CASCADE"))


class Page(HTMLParser):
    """A page's elements; closing ones must fit, as in XML."""

    VOID = frozenset({"meta", "img", "br"})

    def __init__(self, body: str) -> None:
        super().__init__()
        self.open, self.tags, self.text, self.attributes = [], [], [], []
        self.feed(body)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


def test_before_any_check_nothing_has_drifted(shop):
    assert shop.client.get("/drift").json() == {"severity": "none", "data": [], "last_run": None}
    assert shop.client.get("/drift/reports").json() == {
        "data": [],
        "next_cursor": None,
        "links": {"self": "/drift/reports", "next": None},
    }


def test_the_state_names_severity_cause_and_times(shop):
    shop.check(0)
    report = shop.check(1, **DRIFTED)
    overview = shop.client.get("/drift").json()
    (state,) = overview["data"]
    assert overview["severity"] == state["severity"] == "critical"
    assert (state["model_version"], state["report_id"]) == (MODEL, report)
    assert state["since"] == "2026-11-20T01:00:00Z"
    assert state["checked_until"] == state["last_run"]["window_end"] == "2026-11-20T02:00:00Z"
    assert state["next_run_at"] == "2026-11-20T03:00:00Z"
    assert state["cause"]["headline"] == DRIFTED["cause"]["headline"]
    assert overview["last_run"]["status"] == "checked"
    for link in ("report", "report_html", "reports"):
        assert shop.client.get(state["links"][link]).status_code == 200


def test_a_state_outlives_its_report(shop):
    report = shop.check(**DRIFTED)
    with shop.sessions.begin() as session:
        session.execute(text("DELETE FROM drift_reports WHERE id = :id"), {"id": UUID(report)})
    (state,) = shop.client.get("/drift").json()["data"]
    assert (state["severity"], state["cause"], state["report_id"]) == ("critical", None, None)
    assert state["links"]["report"] is None
    assert state["next_run_at"] is None


def test_simulated_checks_are_no_newest_check(shop):
    shop.check(model_version="drift-simulation-1")
    assert shop.client.get("/drift").json()["last_run"] is None


def test_pages_and_filters(shop):
    ids = [shop.check(window, **(DRIFTED if window % 2 else {})) for window in range(5)][::-1]
    other = shop.check(9, model_version="a&b")
    assert shop.listed() == [other, *ids]
    assert shop.listed(model_version=MODEL) == ids
    assert shop.listed(severity="critical") == ids[1::2]
    assert shop.listed(severity=["critical", "none"], limit=2) == [other, ids[0]]
    assert shop.listed(severity="warning") == []
    path, found = "/drift/reports?limit=2&severity=none", []
    while path:
        body = shop.client.get(path).json()
        found.append([report["id"] for report in body["data"]])
        path = body["links"]["next"]
    assert found == [[other, ids[0]], [ids[2], ids[4]]]
    made = shop.client.get(f"/drift/reports/{ids[2]}").json()["created_at"]
    assert shop.listed(created_after=made) == [other, *ids[:3]]
    assert shop.listed(created_before=made) == ids[3:]


def test_a_report_made_meanwhile_shifts_no_page(shop):
    ids = [shop.check(window) for window in range(4)][::-1]
    first = shop.client.get("/drift/reports", params={"limit": 2}).json()
    shop.check(7)
    second = shop.client.get(first["links"]["next"]).json()
    assert [report["id"] for report in second["data"]] == ids[2:]


def test_a_page_is_read_from_the_index(gateway, shop):
    shop.check()
    with gateway.sessions() as session:
        session.execute(text("SET LOCAL enable_seqscan = off"))
        query = """
            EXPLAIN SELECT * FROM drift_reports WHERE tenant_id = :tenant
            AND window_end <= now() ORDER BY window_end DESC, id LIMIT 21"""
        plan = "\n".join(session.execute(text(query), {"tenant": shop.tenant}).scalars())
    assert "ix_drift_reports_tenant_id_window_end" in plan
    assert "Sort" not in plan


def test_a_report_is_whole(shop):
    report = shop.client.get(f"/drift/reports/{shop.check(**DRIFTED)}").json()
    expected = report_body(shop.tenant, **DRIFTED).model_dump(mode="json")
    for name in ("statistics", "estimated", "charts", "cause", "window", "severity", "notes"):
        assert report[name] == expected[name], name
    # Nobody needs it, and of another tenant it would tell.
    assert "tenant_id" not in report


def test_nobody_sees_what_is_not_theirs(gateway, shop):
    with gateway.sessions.begin() as session:
        stranger = get_or_create_tenant(session, "another shop")
        everyone, theirs = store_check(session, [None, stranger], **DRIFTED)
    # An admin's key is of one tenant too.
    with gateway.client(gateway.new_key(shop.name, [Scope.ADMIN])) as admin:
        for client in (shop.client, admin):
            for report in (everyone, theirs, uuid4()):
                for path in (f"/drift/reports/{report}", f"/drift/reports/{report}/html"):
                    response = client.get(path)
                    assert (response.status_code, slug(response)) == (404, "not-found")
            assert client.get("/drift").json()["data"] == []
            assert client.get("/drift/reports").json()["data"] == []
    with gateway.sessions() as session:
        assert reading.get_report(session, None, everyone) is not None
        assert reading.get_report(session, None, theirs) is None
        assert [view.state.report_id for view in reading.list_states(session, None)] == [everyone]


def test_a_key_needs_the_scope_to_read(gateway):
    with gateway.client(gateway.new_key("writer", [Scope.JOBS_WRITE])) as client:
        for path in ("/drift", "/drift/reports", f"/drift/reports/{uuid4()}"):
            response = client.get(path)
            assert (response.status_code, slug(response)) == (403, "missing-scope")


@pytest.mark.parametrize(
    ("params", "field"),
    [
        ({"severity": "fatal"}, "severity.0"),
        ({"cursor": "not-one"}, "cursor"),
        ({"limit": 101}, "limit"),
        ({"model_version": "a\x00"}, "model_version"),
        ({"created_after": "2026-01-01T00:00:00"}, "created_after"),
    ],
)
def test_wrong_parameters(client, params, field):
    response = client.get("/drift/reports", params=params)
    assert (response.status_code, slug(response)) == (422, "invalid-request")
    assert [error["field"] for error in response.json()["errors"]] == [field]


def test_the_page_is_well_formed_and_hostile_names_stay_text(shop):
    # PostgreSQL's JSON holds no NUL; every other control character may come.
    segment = {
        "dimension": "category", "value": HOSTILE, "photos": 10, "reference_share": 0.1,
        "current_share": 0.2, "moved": True,
    }  # fmt: skip
    mix = {"dimension": "category", "values": [HOSTILE], "reference": [0.1], "current": [0.2]}
    plain = report_body(None).charts.model_dump(mode="json")
    report = shop.check(
        **{**DRIFTED, "cause": {**DRIFTED["cause"], "headline": f"Mostly {HOSTILE}"}},
        segments=[segment],
        charts={**plain, "mixes": [mix]},
        notes=[HOSTILE],
    )
    response = shop.client.get(f"/drift/reports/{report}/html")
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    assert "default-src 'none'" in response.headers["content-security-policy"]
    page = Page(response.text)
    shown = HOSTILE.replace("\x01", "\ufffd")
    assert {"Mostly " + shown, shown} <= set(page.text)
    assert page.tags.count("svg") == 3
    assert not {"script", "img", "link", "iframe"} & set(page.tags)
    assert not [name for name, _ in page.attributes if name.startswith("on")]
    assert not [value for name, value in page.attributes if name in {"src", "href"}]


def test_who_accepts_html_gets_the_page_and_everyone_else_json(shop):
    path = f"/drift/reports/{shop.check()}"
    browser = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
    for accept, kind in {
        browser: "text/html; charset=utf-8",
        "*/*": "application/json",
        "application/json, text/html;q=0.5": "application/json",
        "text/html;q=x": "application/json",
    }.items():
        response = shop.client.get(path, headers={"Accept": accept})
        assert (response.status_code, response.headers["content-type"]) == (200, kind)


def test_examples_have_previews_of_the_tenants_own_photos_only(gateway, shop, client):
    name, photo = smallest_sample()
    mine, theirs = (
        each.post("/jobs", files=image_files((name, photo))).json()
        for each in (shop.client, client)
    )
    for job in (mine, theirs):
        judge(gateway.sessions, job["id"])
    examples = [mine["images"][0]["id"], theirs["images"][0]["id"], str(uuid4())]
    report = shop.check(**DRIFTED, examples=examples)
    page = Page(shop.client.get(f"/drift/reports/{report}/html").text)
    hrefs = [value for name, value in page.attributes if name == "href"]
    assert hrefs == [f"/images/{image}" for image in examples]
    previews = [value for name, value in page.attributes if name == "src"]
    assert len(previews) == 1
    assert previews[0].startswith("data:image/jpeg;base64,")


def test_examples_lead_to_the_web_page_where_it_is_known(shop, start_gateway):
    example = str(uuid4())
    report = shop.check(**DRIFTED, examples=[example])
    address = "https://photos.example.com/"
    with start_gateway(gateway_ui_url=address) as own, own.client(shop.key) as client:
        page = Page(client.get(f"/drift/reports/{report}/html").text)
    hrefs = [value for name, value in page.attributes if name == "href"]
    assert hrefs == [f"{address}?photo={example}"]
    assert not [text for text in page.text if "Links lead to the API" in text]
