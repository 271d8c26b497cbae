from appliance.supervise.restarts import Limits, Restarts


def test_pauses_double_up_to_the_longest_and_end_with_the_budget():
    machine = Restarts(Limits(budget=5, first_pause=1.0, longest_pause=5.0))

    pauses = [machine.crashed(now) for now in range(6)]

    assert pauses == [1.0, 2.0, 4.0, 5.0, 5.0, None]


def test_being_ready_for_the_settling_time_earns_the_whole_budget_back():
    machine = Restarts(Limits(budget=2, settled=60.0, first_pause=1.0))
    machine.crashed(now=0.0)
    machine.crashed(now=1.0)
    machine.ready(now=10.0)

    pause = machine.crashed(now=70.0)

    assert (pause, machine.used) == (1.0, 1)


def test_being_ready_for_less_earns_nothing():
    machine = Restarts(Limits(budget=1, settled=60.0))
    machine.crashed(now=0.0)
    machine.ready(now=10.0)

    assert machine.crashed(now=69.9) is None


def test_a_service_that_is_never_ready_spends_its_budget_however_slowly_it_fails():
    machine = Restarts(Limits(budget=3, settled=60.0))

    pauses = [machine.crashed(now) for now in (0.0, 1e4, 2e4, 3e4)]

    assert pauses[-1] is None
    assert None not in pauses[:-1]


def test_a_huge_budget_never_overflows_the_pause():
    machine = Restarts(Limits(budget=5000, longest_pause=30.0))

    last = [machine.crashed(0.0) for _ in range(5000)][-1]

    assert last == 30.0


def test_forgiving_gives_the_whole_budget_again():
    machine = Restarts(Limits(budget=1, first_pause=1.0))
    machine.crashed(0.0)
    machine.crashed(0.0)

    machine.forgive()

    assert machine.crashed(0.0) == 1.0
