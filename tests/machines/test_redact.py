import pytest

from appliance.telemetry.redact import redact

TOKEN = "ns_ZGVmYXVsdA_" + "0a" * 32


@pytest.mark.parametrize(
    ("fields", "left"),
    [
        ({"token": "x", "Authorization": "y", "n": 5}, {"token": "(hidden)", "Authorization": "(hidden)", "n": 5}),
        ({"event": f"got {TOKEN}, refused"}, {"event": "got (hidden), refused"}),
        ({"header": "Bearer abcdefgh.ijkl"}, {"header": "(hidden)"}),
        ({"jwt": "eyJhbGciOi.eyJzdWIi.c2ln"}, {"jwt": "(hidden)"}),
        ({"url": "/subscribe?token=abc&x=1 HTTP/1.1"}, {"url": "/subscribe?(hidden) HTTP/1.1"}),
        ({"event": "is this well? yes"}, {"event": "is this well? yes"}),
    ],
)
def test_what_looks_like_a_secret_is_hidden_and_nothing_else(fields, left):
    assert redact(fields) == left
