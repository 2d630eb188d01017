from uuid import UUID

import pytest
from starlette.datastructures import Headers

from services.gateway.http.context import request_id_of


@pytest.mark.parametrize("given", ["trace-me-0123", "a:b_c.d", "x" * 128])
def test_a_sane_request_id_is_kept(given):
    assert request_id_of(Headers({"X-Request-ID": given})) == given


@pytest.mark.parametrize("given", ["", "x" * 129, "a b", "a\tb", '{"a":1}', "é"])
def test_any_other_is_replaced_by_a_new_one(given):
    made = request_id_of(Headers({"X-Request-ID": given}))
    assert UUID(made).version == 4
