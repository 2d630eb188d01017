from uuid import UUID

from services.gateway.http.facts import RequestFacts

ID = UUID("0199f3c2-6f2b-7c43-9a55-3f1f8e0c7d10")


def test_only_known_facts_are_logged():
    assert RequestFacts("r").log_fields() == {"bytes_in": 0}
    facts = RequestFacts("r", bytes_in=7, tenant_id=ID, images=2, refused=0)
    assert facts.log_fields() == {"bytes_in": 7, "tenant_id": str(ID), "images": 2, "refused": 0}


def test_waiting_counts_no_longer_than_it_was_asked_for():
    facts = RequestFacts("r")
    with facts.waiting(0.0):
        sum(range(100_000))
    assert facts.waited_seconds == 0.0
    with facts.waiting(30.0):
        sum(range(100_000))
    assert 0.0 < facts.waited_seconds < 30.0
