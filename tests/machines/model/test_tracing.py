"""W3C Trace Context: what is taken for a trace, and how it goes on."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.model.tracing import REQUEST, TRACE, continued, enter, served, trace_id, trace_of, traceparent

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.mark.parametrize(
    ("given", "taken"),
    [
        (PARENT, PARENT),
        ("cc" + PARENT[2:] + "-what-will-be", PARENT),  # a later version is read as far as we know it
        (PARENT + "-more", ""),  # which this one has not
        ("ff" + PARENT[2:], ""),
        (PARENT.upper(), ""),
        (PARENT.replace("0af7651916cd43dd8448eb211c80319c", "0" * 32), ""),
        (PARENT.replace("b7ad6b7169203331", "0" * 16), ""),
        (PARENT[:-1], ""),
        (f"{PARENT}, {PARENT}", ""),  # the header came twice
        ("", ""),
    ],
)
def test_only_a_well_formed_parent_is_taken(given, taken):
    assert traceparent(given) == taken


@given(st.integers(1, 2**64 - 1))
def test_the_next_step_belongs_to_the_same_trace(span):
    step = continued(PARENT, f"{span:016x}")

    assert traceparent(step) == step
    assert (trace_id(step), step[36:52], step[-2:]) == (trace_id(PARENT), f"{span:016x}", "01")


def test_what_is_served_is_known_inside_and_not_behind_it():
    with served("r-1", PARENT):
        inside = REQUEST.get(), TRACE.get(), trace_of({"traceparent": "something else"})

    assert inside == ("r-1", PARENT, PARENT)
    assert (REQUEST.get(), TRACE.get()) == ("", "")


async def test_a_request_that_lasts_keeps_its_task():
    enter("r-2", {"traceparent": PARENT})
    assert (REQUEST.get(), TRACE.get()) == ("r-2", PARENT)

    enter("r-3", {"traceparent": "no trace"})
    assert REQUEST.get() == "r-3"
