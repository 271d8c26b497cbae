"""Taking calls apart: any text is a call or a refusal, and a call costs little."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.auth.dialect import DialectError, in_dialect
from appliance.errors import (
    Broken,
    Conflict,
    Duplicate,
    Forbidden,
    KeyReused,
    NotFound,
    Rejected,
    TooLarge,
    Unauthenticated,
    Unavailable,
    VersionConflict,
)
from appliance.ingress import calls
from appliance.ingress.jsontext import Malformed

VALUES = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5)
)
OPTIONS = st.dictionaries(
    st.sampled_from(["position", "globalPosition", "batchSize", "correlation", "consumerGroup", "member", "size", "x"]),
    VALUES | st.dictionaries(st.sampled_from(["member", "size"]), VALUES),
)


def refusal(work: Callable[[], object]) -> DialectError | None:
    try:
        work()
    except DialectError as refused:
        return refused
    return None


@given(st.lists(VALUES | st.lists(VALUES, max_size=2) | st.dictionaries(st.text(max_size=3), VALUES), max_size=6))
def test_any_array_is_a_call_or_is_refused(parts: list[Any]):
    body = json.dumps(parts).encode()
    refused = refusal(lambda: calls.parse_call(body))
    if refused is not None:
        assert refused.http_status == 400
        return
    name, call = calls.parse_call(body)
    assert name == parts[0]
    assert calls.is_given(call.first) == (len(parts) > 1)
    assert calls.is_given(call.third) == (len(parts) > 3)


@given(OPTIONS)
def test_any_options_are_understood_or_refused(given_options: dict[str, Any]):
    def understand() -> bool:
        _, call = calls.parse_call(json.dumps(["x", given_options]).encode())
        wanted = calls.options(call.first, calls.CategoryOptions)
        place = calls.integer(wanted.position, "options.position", 1)
        size = calls.batch_size(wanted.batch_size)
        group = calls.group_of(wanted.consumer_group)
        return (
            -(2**63) < place < 2**63
            and (size is None or 0 <= size <= 10_000)
            and (group is None or 0 <= group.member < group.size)
        )

    refused = refusal(understand)
    assert understand() if refused is None else refused.wire_code == "INVALID_REQUEST"


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (Rejected("x"), 400, "INVALID_REQUEST"),
        (Malformed("x"), 400, "MALFORMED_JSON"),
        (KeyReused("x"), 422, "IDEMPOTENCY_KEY_REUSED"),
        (Unauthenticated("x"), 401, "AUTH_REQUIRED"),
        (Forbidden("x"), 403, "AUTH_UNAUTHORIZED"),
        (NotFound("x"), 404, "NAMESPACE_NOT_FOUND"),
        (VersionConflict("a", expected=1, actual=2), 409, "STREAM_VERSION_CONFLICT"),
        (Duplicate("x", id="1"), 409, "MESSAGE_ID_CONFLICT"),
        (Duplicate("x", key="k"), 409, "DUPLICATE"),
        (Conflict("x"), 409, "CONFLICT"),
        (TooLarge("x"), 413, "TOO_LARGE"),
        (Unavailable("x", retry_after=4), 503, "UNAVAILABLE"),
        (Broken("x"), 500, "BROKEN"),
    ],
)
def test_every_error_of_ours_has_a_form_in_this_dialect(error, status, code):
    told = in_dialect(error)

    answer = told.response()

    assert (answer.status, json.loads(answer.body)["error"]["code"]) == (status, code)
    assert answer.body.endswith(b"}\n")
    assert in_dialect(told) is told
    assert answer.headers == ((("retry-after", "4"),) if status == 503 else ())
