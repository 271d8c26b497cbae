"""Labels stay few and harmless, whatever names come in; values fall into their buckets."""

from hypothesis import given
from hypothesis import strategies as st

from appliance.model.buckets import Buckets
from appliance.telemetry.tally import OTHER, Tally


def test_the_first_names_get_a_series_and_the_rest_share_one():
    tally = Tally(most=2)

    for name in ("OrderPlaced", "OrderPaid", "OrderSent", "OrderPlaced", "OrderLost"):
        tally.add(name)
    tally.add("OrderPaid", 5)

    assert tally.counts() == {"OrderPlaced": 2, "OrderPaid": 6, OTHER: 2}


def test_what_looks_like_no_name_is_never_a_label():
    tally = Tally()
    names = (
        *("anna@example.com", "/home/anna/diary", "10.1.2.3", "SELECT a FROM b", "a b", "", "x" * 65),
        *("ns_ZGVmYXVsdA_" + "0a" * 32, "postgres://u:p@h/db"),
    )

    for name in names:
        tally.add(name)

    assert tally.counts() == {OTHER: len(names)}


@given(st.lists(st.text(max_size=8)))
def test_nothing_is_lost_and_labels_stay_few(names):
    tally = Tally(most=3)

    for name in names:
        tally.add(name)

    assert sum(tally.counts().values()) == len(names)
    assert len(tally.counts()) <= 4


@given(st.lists(st.floats(0, 100)))
def test_a_bucket_holds_what_is_at_most_its_bound(values):
    buckets = Buckets((1.0, 10.0))

    for value in values:
        buckets.observe(value)

    below = [sum(value <= bound for value in values) for bound in (1.0, 10.0)]
    assert list(buckets.rows()) == [("1.0", below[0]), ("10.0", below[1]), ("+Inf", len(values))]
    assert buckets.count == len(values)
    assert buckets.sum == sum(values)
