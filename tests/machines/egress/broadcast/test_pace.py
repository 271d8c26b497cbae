"""How fast a client may talk."""

from __future__ import annotations

from appliance.egress.broadcast.pace import CALM, STRIKES, Pace


def test_what_is_within_the_limit_never_waits():
    pace = Pace(3)

    waits = [pace.came(second + part / 3).wait for second in range(5) for part in range(3)]

    assert waits == [0.0] * 15


def test_excess_waits_for_the_next_second_in_which_it_is_the_first():
    pace = Pace(2)

    first = [pace.came(10.0), pace.came(10.25), pace.came(10.5)]
    after = [pace.came(11.0), pace.came(11.0)]

    assert [one.wait for one in first] == [0.0, 0.0, 0.5]
    assert [one.wait for one in after] == [0.0, 1.0]


def test_one_burst_is_forgiven_and_a_flood_is_not():
    """A page that mounts sixty components sends sixty frames at once: it is heard, a little later."""
    pace, now = Pace(50), 0.0
    burst = [pace.came(now) for _ in range(60)]
    assert [one.over for one in burst if one.wait] == [False]

    now, seconds = 1.0, 0
    while True:
        patience = pace.came(now)
        now += patience.wait
        seconds += patience.wait > 0
        if patience.over:
            break

    assert seconds == STRIKES - 1


def test_a_calm_time_makes_up_for_excess():
    pace, now = Pace(1), 0.0
    for _ in range(5 * STRIKES):
        pace.came(now)
        patience = pace.came(now)
        now += patience.wait + CALM

        assert patience.wait
        assert not patience.over
