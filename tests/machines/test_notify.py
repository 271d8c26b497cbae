import pytest

from appliance.supervise.watchdog import encode, ping_interval


def test_each_field_is_a_line():
    assert encode(READY=1, STATUS="well") == b"READY=1\nSTATUS=well"


def test_a_value_cannot_smuggle_a_second_field():
    assert encode(STATUS="a\nWATCHDOG=1") == b"STATUS=a WATCHDOG=1"


def test_pings_are_three_to_a_timeout_and_the_variables_are_ours_alone():
    environ = {"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "7", "HOME": "/"}

    interval = ping_interval(environ, pid=7)

    assert interval == 10.0
    assert environ == {"HOME": "/"}


@pytest.mark.parametrize(
    "environ",
    [
        {},
        {"WATCHDOG_USEC": "0"},
        {"WATCHDOG_USEC": "soon"},
        {"WATCHDOG_USEC": "-5"},
        {"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "8"},
    ],
)
def test_without_a_watchdog_meant_for_us_there_is_no_interval(environ):
    assert ping_interval(environ, pid=7) is None
