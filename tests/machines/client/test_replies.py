import msgspec
import pytest

from appliance.client.replies import Reply, error_of, import_error
from appliance.errors import (
    Conflict,
    Duplicate,
    Forbidden,
    KeyReused,
    LimitReached,
    MethodNotAllowed,
    NotFound,
    PeerFailed,
    Rejected,
    TooLarge,
    Unauthenticated,
    Unavailable,
    VersionConflict,
)


def refusal(status, code, message="no", details=None):
    error = {"code": code, "message": message} | ({} if details is None else {"details": details})
    return Reply(status, msgspec.json.encode({"error": error}))


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (400, "INVALID_REQUEST", Rejected),
        (401, "AUTH_REQUIRED", Unauthenticated),
        (401, "AUTH_INVALID_TOKEN", Unauthenticated),
        (403, "AUTH_UNAUTHORIZED", Forbidden),
        (404, "METHOD_NOT_FOUND", NotFound),
        (404, "NAMESPACE_NOT_FOUND", NotFound),
        (409, "NAMESPACE_EXISTS", Duplicate),
        (409, "MESSAGE_ID_CONFLICT", Duplicate),
        (422, "IDEMPOTENCY_KEY_REUSED", KeyReused),
        (409, "SOMETHING_NEW", Conflict),
        (405, "INVALID_METHOD", MethodNotAllowed),
        (413, "TOO_LARGE", TooLarge),
        (429, "SLOW_DOWN", LimitReached),
        (503, "LATER", Unavailable),
        (500, "BACKEND_ERROR", PeerFailed),
    ],
)
def test_an_error_answer_becomes_the_class_that_says_whose_move_is_next_and_keeps_its_code(status, code, kind):
    error = error_of(refusal(status, code, "what happened"))

    assert type(error) is kind
    assert (error.message, error.facts["wire_code"]) == ("what happened", code)


def test_a_version_conflict_knows_stream_expected_and_actual():
    reply = refusal(409, "STREAM_VERSION_CONFLICT", details={"expected": 3, "actual": 5})

    error = error_of(reply, subject="order-7")

    assert isinstance(error, VersionConflict)
    assert error.facts == {
        "stream": "order-7",
        "expected": 3,
        "actual": 5,
        "wire_code": "STREAM_VERSION_CONFLICT",
    }


def test_a_version_conflict_without_details_is_a_plain_conflict():
    error = error_of(refusal(409, "STREAM_VERSION_CONFLICT", "moved on"))

    assert (type(error), error.message) == (Conflict, "moved on")


def test_problem_json_keeps_its_hint_and_its_own_members():
    body = {
        "type": "about:blank#forbidden",
        "status": 403,
        "code": "forbidden",
        "message": "this needs scope 'admin'",
        "hint": "create a token with --scope admin",
        "request_id": "r-1",
        "needed": "admin",
        "list": [1],
    }

    error = error_of(Reply(403, msgspec.json.encode(body)))

    assert (type(error), error.hint) == (Forbidden, "create a token with --scope admin")
    assert error.facts == {"request_id": "r-1", "needed": "admin", "wire_code": "forbidden"}


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"Invalid position parameter\nmore", "Invalid position parameter"),
        (b"", "the server answered 400"),
        (b"[1]", "[1]"),
        (b'{"error": "text"}', '{"error": "text"}'),
    ],
)
def test_an_answer_in_no_known_form_is_told_as_it_is(body, message):
    error = error_of(Reply(400, body))

    assert (type(error), error.message, error.facts["wire_code"]) == (Rejected, message, "HTTP_400")


@pytest.mark.parametrize(("header", "seconds"), [("7", 7), ("", 1), ("soon", 1), ("²", 1)])
def test_retry_after_is_read_where_it_is_a_number(header, seconds):
    error = error_of(Reply(503, b"later", {"retry-after": header}))

    assert error.retry_after == seconds


def test_an_import_error_names_its_line():
    error = import_error("POSITION_EXISTS", "global position already exists: 4", 2004)

    assert (type(error), error.facts["line"]) == (Duplicate, 2004)
