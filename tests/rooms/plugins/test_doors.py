"""Routes, state, transactions, consumers, jobs and actions of a plugin, each behind its wall."""

from __future__ import annotations

import json
from functools import partial

import msgspec
import pytest
import trio

from appliance.model.letters import Letter

SHOP = '''
from dataclasses import dataclass

@plugin.event(stream="order-{order_id}")
class OrderPlaced:
    order_id: str
    total: int

@dataclass
class Wish:
    total: int
    note: str = ""

@plugin.route("PUT", "/api/v1/orders/{order_id}", scope="write", request=Wish)
async def place(ctx, request, order_id):
    """Place an order."""
    wish = await request.json(Wish)
    async with ctx.transaction(key=request.idempotency_key) as tx:
        before = await tx.get(order_id)
        tx.put(order_id, {"total": wish.total, "by": request.caller.subject}, index={"big": str(wish.total > 100)})
        receipt = tx.emit(OrderPlaced(order_id, wish.total))
    return receipt

@plugin.route("GET", "/api/v1/orders/{order_id}", scope="read")
async def show(ctx, order_id):
    found = await ctx.get(order_id)
    if found is None:
        raise NotFound(f"there is no order {order_id}")
    return found

@plugin.route("GET", "/api/v1/orders", scope="read")
async def many(ctx, request):
    where = {"big": request.query["big"]} if "big" in request.query else None
    return {"orders": await ctx.list(where=where), "count": await ctx.count(where=where)}
'''


async def test_route_state_and_event_are_one(write, hosting, autojump_clock):
    write("shop", SHOP)
    async with hosting() as running:
        placed = await running.ask("PUT", "/api/v1/orders/7", b'{"total": 120}')
        await running.ask("PUT", "/api/v1/orders/8", b'{"total": 12}')
        shown = await running.ask("GET", "/api/v1/orders/7")
        listed = await running.ask("GET", "/api/v1/orders")
        missing = await running.ask("GET", "/api/v1/orders/9")

    receipt = msgspec.json.decode(placed.body)
    assert placed.status == 200
    assert (receipt["stream"], receipt["position"], receipt["global_position"]) == ("order-7", 0, 1)
    assert msgspec.json.decode(shown.body) == {"total": 120, "by": "anna"}
    assert msgspec.json.decode(listed.body)["count"] == 2
    assert missing.status == 404
    (first, _) = running.ledger.of("OrderPlaced")
    assert first.id == receipt["id"]
    assert json.loads(first.metadata)["actor"] == {"kind": "user", "id": "anna"}


@pytest.mark.parametrize(
    ("body", "scopes", "status", "says"),
    [
        (b"{", "write", 400, "truncated"),
        (b'{"total": "x"}', "write", 422, "total"),
        (b'{"total": 1, "totl": 2}', "write", 422, "totl"),
        (b'{"total": 1, "total": 2}', "write", 400, "twice"),
        (b'{"total": 1}', "read", 403, "write"),
    ],
)
async def test_bad_request_is_refused_with_its_place(body, scopes, status, says, write, hosting, autojump_clock):
    write("shop", SHOP)
    async with hosting() as running:
        answer = await running.ask("PUT", "/api/v1/orders/7", body, scopes=scopes)

    assert answer.status == status
    assert says in answer.body.decode()
    assert not running.ledger.events


async def test_same_idempotency_key_gets_the_first_receipt_again(write, hosting, autojump_clock):
    write("shop", SHOP)
    async with hosting() as running:
        first = await running.ask("PUT", "/api/v1/orders/7", b'{"total": 1}', idempotency_key="k")
        again = await running.ask("PUT", "/api/v1/orders/7", b'{"total": 1}', idempotency_key="k")
        other = await running.ask("PUT", "/api/v1/orders/7", b'{"total": 2}', idempotency_key="k")

    assert first.body == again.body
    assert other.status == 422
    assert len(running.ledger.events) == 1


async def test_stale_read_is_a_conflict_and_nothing_is_written(write, hosting, autojump_clock):
    write(
        "shop",
        """
        @plugin.event(stream="stock-{name}")
        class Taken:
            name: str
            left: int

        @plugin.route("POST", "/take/{name}", scope="write")
        async def take(ctx, name):
            async with ctx.transaction() as tx:
                left = await tx.get(name) or 10
                await ctx.sleep(1)
                tx.put(name, left - 1)
                tx.emit(Taken(name, left - 1))
            return {"left": left - 1}
        """,
    )
    answers = []
    async with hosting() as running, trio.open_nursery() as nursery:

        async def take():
            answers.append((await running.ask("POST", "/take/apples")).status)

        nursery.start_soon(take)
        nursery.start_soon(take)

    assert sorted(answers) == [200, 409]
    assert len(running.ledger.events) == 1


FOLLOWING = """
seen = []

@plugin.event(stream="order-{order_id}")
class OrderPlaced:
    order_id: str
    total: int

@plugin.event(stream="bill-{order_id}")
class Billed:
    order_id: str

@plugin.on(OrderPlaced, when="data.total > 100")
async def bill(ctx, event):
    await ctx.emit(Billed(event.data.order_id))

@plugin.on("order.placed", "Billed")
async def note(event, log):
    seen.append((event.type, event.data.order_id, event.data.get("total")))

@plugin.service
async def sell(ctx):
    await ctx.emit(OrderPlaced("a", 50))
    await ctx.emit(OrderPlaced("b", 150))
    while True:
        await ctx.sleep(1000)
"""


async def test_consumers_get_what_they_want_and_what_they_write_says_why(write, hosting, autojump_clock):
    write("shop", FOLLOWING)
    async with hosting() as running:
        await running.ledger.first("Billed")
        await trio.testing.wait_all_tasks_blocked()
        (status,) = (one for one in running.host.snapshot() if one.name == "shop")
        seen = list(running.module("shop").seen)
        small, big = running.ledger.of("OrderPlaced")
        legs = running.host.legs(small)

    assert seen == [("OrderPlaced", "a", 50), ("OrderPlaced", "b", 150), ("Billed", "b", None)]
    labels = json.loads(running.ledger.of("Billed")[0].metadata)
    assert labels["causationId"] == labels["correlationId"] == big.id
    bill, note = status.consumers
    assert (bill.name, bill.done, bill.skipped, bill.lag) == ("bill", 1, 1, 0)
    assert (note.name, note.done) == ("note", 3)
    assert [(leg.name, leg.outcome, leg.detail) for leg in legs] == [
        ("shop: bill", "skipped", "`data.total` is 50, needed > 100"),
        ("shop: note", "done", ""),
    ]


async def test_checkpoint_survives_a_restart_of_the_plugin(write, hosting, autojump_clock):
    write("shop", FOLLOWING)
    async with hosting() as running:
        await running.ledger.first("Billed")
        await trio.sleep(5)
        running.host.restart("shop")
        await trio.sleep(5)
        seen = list(running.module("shop").seen)

    assert seen[0][:2] == ("OrderPlaced", "a")  # of the second run, which sells again
    assert len(seen) == 3
    assert len(running.ledger.of("Billed")) == 2


async def test_consumer_that_fails_is_tried_again_and_then_its_event_is_put_aside(write, hosting, autojump_clock):
    write(
        "shaky",
        """
        tries = []
        @plugin.event(stream="thing-{name}")
        class Made:
            name: str

        @plugin.on(Made, retry="1s 5s")
        async def look(ctx, event):
            tries.append((event.data.name, ctx.now()))
            if event.data.name == "bad":
                raise ValueError("broken: " + event.data.name)

        @plugin.service
        async def make(ctx):
            for name in ("bad", "good", "bad", "good"):
                await ctx.emit(Made(name))
            while True:
                await ctx.sleep(1000)
        """,
    )
    async with hosting() as running:
        await trio.sleep(30)
        tries = list(running.module("shaky").tries)
        status = running.status("shaky")
        bad = running.ledger.of("Made")[0]
        (leg,) = running.host.legs(bad)

    begin = tries[0][1]
    assert [round(at - begin) for name, at in tries if name == "bad"] == [0, 1, 6, 6, 7, 12]
    assert [round(at - begin) for name, at in tries if name == "good"] == [0, 0]  # another stream waits for nobody
    letter = running.shelf.letters[0]
    assert (letter.kind, letter.source, letter.event, letter.attempts) == ("plugin", "shaky: look", bad.id, 3)
    assert "ValueError: broken" in letter.detail
    assert leg.outcome == "failed"
    assert status.failures == {"on look": 6}


async def test_dead_letter_can_be_tried_again(write, hosting, autojump_clock):
    write(
        "shaky",
        """
        down = True
        done = []
        @plugin.event(stream="thing-{name}")
        class Made:
            name: str
        @plugin.on(Made, retry="")
        async def look(event):
            if down:
                raise OSError("down")
            done.append(event.data.name)
        @plugin.service
        async def make(ctx):
            await ctx.emit(Made("a"))
            while True:
                await ctx.sleep(1000)
        """,
    )
    async with hosting() as running:
        await trio.sleep(1)
        (letter,) = running.shelf.letters
        running.module("shaky").down = False
        taken = await running.shelf.retries["plugin"](1, letter)
        strange = await running.shelf.retries["plugin"](1, msgspec.structs.replace(letter, source="shaky: nobody"))
        await trio.sleep(1)
        done = list(running.module("shaky").done)

    assert isinstance(letter, Letter)
    assert (taken, strange) == (True, False)
    assert done == ["a"]


async def test_conflict_in_a_consumer_is_no_error(write, hosting, autojump_clock):
    """Two consumers count in one place; each stale read is repeated by itself."""
    counting = """
@plugin.on(Made)
async def NAME(ctx, event):
    async with ctx.transaction() as tx:
        count = await tx.get("count") or 0
        await ctx.sleep(0.01)
        tx.put("count", count + 1)
"""
    write(
        "counts",
        '@plugin.event(stream="thing-{name}")\nclass Made:\n    name: str\n'
        + counting.replace("NAME", "one")
        + counting.replace("NAME", "two")
        + """
@plugin.service
async def make(ctx):
    for n in range(20):
        await ctx.emit(Made(str(n % 3)))
    while True:
        await ctx.sleep(1000)
@plugin.panel("Count")
async def panel(ctx):
    return {"count": await ctx.get("count")}
""",
    )
    async with hosting() as running:
        await trio.sleep(60)
        (view,) = await running.host.panels()
        failures = running.status("counts").failures

    assert view.values == {"count": 40}
    assert failures == {}


JOBS = """
@plugin.event(stream="note-{name}")
class Written:
    name: str

@plugin.job(retry="1s", timeout=5.0)
async def sum_up(ctx, job, name, note_id, factor: int = 2):
    await job.progress(50, "half")
    await ctx.emit(Written(name))
    return {"sum": factor * len(name), "note": note_id, "attempt": job.attempt}

@plugin.job()
async def grind(name, config, log):
    return name.upper()

@plugin.route("POST", "/notes/{name}", scope="write")
async def write(ctx, name):
    async with ctx.transaction() as tx:
        receipt = tx.emit(Written(name))
        first = await tx.enqueue(sum_up, name=name, note_id="n-1", key=name)
    await ctx.enqueue("grind", name=name)
    return {"event": receipt.id, "job": first}

@plugin.route("POST", "/wrong", scope="write")
async def wrong(ctx):
    await ctx.enqueue(sum_up, nam="x")
"""


async def test_jobs_are_queued_with_the_event_and_run(write, hosting, autojump_clock):
    write("works", JOBS)
    async with hosting() as running:
        answer = msgspec.json.decode((await running.ask("POST", "/notes/abc")).body)
        wrong = await running.ask("POST", "/wrong")
        results = await running.queue.run_all()

    assert results == [{"sum": 6, "note": "n-1", "attempt": 1}, "ABC"]
    assert running.queue.progress == [(answer["job"], 50, "half")]
    assert [event.type for event in running.ledger.events][:3] == ["Written", "JobQueued", "JobQueued"]
    by_job = running.ledger.of("Written")[1]
    assert json.loads(by_job.metadata)["causationId"] == answer["event"]
    assert wrong.status == 422
    assert "nam" in wrong.body.decode()


async def test_parked_plugin_offers_no_jobs_and_says_so_at_its_routes(write, hosting, autojump_clock):
    write(
        "works", JOBS + "\n@plugin.service\nasync def go(ctx):\n    await ctx.sleep(1)\n    raise OSError('secret')\n"
    )
    async with hosting(budget=0) as running:
        alive = await running.ask("POST", "/notes/abc")
        await running.until("works", "parked")
        dead = await running.ask("POST", "/notes/abc")
        told = await running.ask("POST", "/notes/abc", scopes="admin")
        names = running.queue.names
        write("works", JOBS)
        running.host.restart("works")
        await running.until("works", "ready")
        back = await running.ask("POST", "/notes/abd")

    assert (alive.status, dead.status, back.status) == (200, 503, 200)
    assert "secret" not in dead.body.decode()
    assert "secret" in told.body.decode()
    assert names == []


GARBAGE = {
    "object": ("return object()", 500),
    "raises": ("raise KeyError('x')", 500),
    "exits": ("raise SystemExit", 500),
    "group": ("raise ExceptionGroup('g', [ValueError('x')])", 500),
    "status": ("return Response('x', status=42)", 500),
    "header": ("return Response('x', headers={'a': 'b\\r\\nc: d'})", 500),
    "length": ("return Response('x', headers={'Content-Length': '7'})", 500),
    "undeclared": ("await ctx.emit(object())", 500),
    "coroutine": ("return ctx.sleep(1)", 500),
    "unavailable": ("raise Unavailable('later')", 503),
    "late": ("await ctx.sleep(31)", 503),
    "nothing": ("return None", 204),
    "text": ("return Response('x', status=201, headers={'a': 'b'})", 201),
    "teapot": ("raise Rejected('no')", 422),
}


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("how", GARBAGE)
async def test_route_that_gives_garbage_costs_its_own_answer(how, write, hosting, autojump_clock):
    does, status = GARBAGE[how]
    write("odd", f'@plugin.route("GET", "/odd", scope=None)\nasync def odd(ctx):\n    {does}\n')
    async with hosting() as running:
        answer = await running.ask("GET", "/odd")
        found = running.status("odd")

    assert answer.status == status
    assert found.state == "ready"
    assert found.failures == ({"route GET /odd": 1} if status == 500 or how == "late" else {})
    if status == 500:
        problem = msgspec.json.decode(answer.body)
        assert (problem["code"], problem["request_id"]) == ("plugin_failed", "r-1")
        assert "Traceback" not in answer.body.decode()
        assert found.traceback


async def test_route_that_holds_the_loop_is_interrupted(write, hosting):
    write("bad", '@plugin.route("GET", "/bad", scope=None)\nasync def bad():\n    while True: pass\n')
    write("good", '@plugin.route("GET", "/good", scope=None)\nasync def good():\n    return 1\n')
    async with hosting() as running:
        first = await running.ask("GET", "/bad")
        for _ in range(3):
            await running.ask("GET", "/bad")
        await running.until("bad", "parked")
        parked = await running.ask("GET", "/bad")
        good = await running.ask("GET", "/good")

    assert (first.status, parked.status, good.status) == (500, 503, 200)
    assert running.status("bad").stalls == 4


async def test_blocking_route_runs_beside_the_loop(write, hosting):
    write(
        "slow",
        '@plugin.route("GET", "/slow", scope=None, blocking=True)\ndef slow():\n    time.sleep(0.4)\n    return 1\n',
    )
    beats = 0
    async with hosting() as running, trio.open_nursery() as nursery:

        async def beat():
            nonlocal beats
            while True:
                await trio.sleep(0.01)
                beats += 1

        nursery.start_soon(beat)
        answer = await running.ask("GET", "/slow")
        nursery.cancel_scope.cancel()

    assert answer.status == 200
    assert beats > 10
    assert running.status("slow").stalls == 0


async def test_route_that_is_taken_parks_the_second_plugin(write, hosting, autojump_clock):
    one = '@plugin.route("GET", "/api/v1/things/{id}", scope="read")\nasync def show(id: int):\n    return id\n'
    write("a", one)
    write("b", one)
    write("c", one.replace("{id}", "{name}").replace("id: int", "name").replace("return id", "return name"))
    write("d", one.replace("{id}", "all").replace("id: int", "").replace("return id", "return 1"))
    async with hosting() as running:
        states = {one.name: one.state for one in running.host.snapshot()}
        reasons = {one.name: one.reason for one in running.host.snapshot()}
        good, bad = await running.ask("GET", "/api/v1/things/7"), await running.ask("GET", "/api/v1/things/x")

    assert states == {"a": "ready", "b": "parked", "c": "parked", "d": "parked"}
    assert "two routes" in reasons["b"]
    assert "others answer already" in reasons["c"] + reasons["d"]
    assert (good.status, bad.status) == (200, 422)


async def test_action_is_asked_for_by_name(write, hosting, autojump_clock):
    write(
        "acts",
        """
        @plugin.action("greet", summary="Says hello.")
        async def greet(ctx, event, name, loud: bool = False):
            return {"said": name.upper() if loud else name, "event": event}
        """,
    )
    async with hosting() as running:
        given = await running.host.act("acts", "greet", {"name": "anna", "loud": True}, running.space)
        with pytest.raises(Exception, match="needs argument 'name'"):
            await running.host.act("acts", "greet", {}, running.space)
        with pytest.raises(Exception, match="no action"):
            await running.host.act("acts", "great", {}, running.space)

    assert given == {"said": "ANNA", "event": None}


async def test_flood_of_events_is_bounded(write, hosting, autojump_clock):
    write(
        "flood",
        """
        import trio
        @plugin.event(stream="drop-{n}")
        class Dropped:
            n: int
        @plugin.route("POST", "/flood", scope="write")
        async def flood(ctx):
            async with trio.open_nursery() as nursery:
                for n in range(500):
                    nursery.start_soon(ctx.emit, Dropped(n))
        @plugin.route("POST", "/burst", scope="write")
        async def burst(ctx):
            async with ctx.transaction() as tx:
                for n in range(20_000):
                    tx.emit(Dropped(n))
        """,
    )
    async with hosting() as running:
        flood, burst = await running.ask("POST", "/flood"), await running.ask("POST", "/burst")

    assert (flood.status, burst.status) == (204, 422)
    assert len(running.ledger.events) == 500


async def test_consumer_of_what_is_not_stored_is_refused(write, hosting, autojump_clock):
    write("waits", '@plugin.on("JobProgress")\nasync def look(event): ...\n')
    async with hosting() as running:
        assert "JobProgress is not stored" in (await running.until("waits", "parked")).reason


async def test_event_that_is_not_stored_is_told_and_forgotten(write, hosting, autojump_clock):
    write(
        "says",
        """
        @plugin.event(stream="mood-{who}", stored=False)
        class Felt:
            who: str
        @plugin.event(stream="fact-{who}")
        class Known:
            who: str
        @plugin.route("POST", "/feel", scope="write")
        async def feel(ctx):
            receipt = await ctx.emit(Felt("anna"))
            async with ctx.transaction() as tx:
                tx.emit(Known("anna"))
                tx.emit(Felt("ben"))
            return receipt
        """,
    )
    async with hosting() as running:
        receipt = msgspec.json.decode((await running.ask("POST", "/feel")).body)

    assert receipt["position"] == -1
    assert [event.stream for event in running.ledger.told] == ["mood-anna", "mood-ben"]
    assert [event.type for event in running.ledger.events] == ["Known"]


OUT = """
from dataclasses import dataclass

@dataclass(frozen=True)
class Config:
    endpoint: str = ""

plugin = Plugin("asks", config=Config)

@plugin.route("POST", "/ask", scope="write")
async def ask(ctx, request):
    wish = await request.json()
    reply = await ctx.http.request("POST", wish["url"], json={"a": 1}, timeout=2.0)
    return {"status": reply.status, "said": reply.json()}
"""


async def test_other_servers_are_asked_if_they_are_public_or_the_config_names_them(write, hosting):
    async def answer(stream: trio.SocketStream) -> None:
        seen = b""
        while b'{"a":1}' not in seen:
            seen += await stream.receive_some()
        await stream.send_all(b'HTTP/1.1 201 Created\r\nContent-Length: 8\r\nConnection: close\r\n\r\n{"b": 2}')

    write("asks", OUT)
    async with trio.open_nursery() as nursery:
        (listener,) = await nursery.start(partial(trio.serve_tcp, answer, 0, host="127.0.0.1"))
        port = listener.socket.getsockname()[1]
        url = f"http://localhost:{port}/v1"
        async with hosting({"asks": {"endpoint": url}}) as running:
            named = await running.ask("POST", "/ask", json.dumps({"url": url}).encode())
            refused = [
                (await running.ask("POST", "/ask", json.dumps({"url": other}).encode())).status
                for other in ("http://localhost:1/", "http://10.0.0.1/", "ftp://x/", "http://u:p@a.example/")
            ]
            nursery.cancel_scope.cancel()

    assert msgspec.json.decode(named.body) == {"status": 201, "said": {"b": 2}}
    assert refused == [400, 400, 422, 422]
