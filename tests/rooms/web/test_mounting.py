"""Routes that come and go while requests are answered."""

from __future__ import annotations

import pytest

from appliance.model.http import Lane, Response, Route
from appliance.web.limits import Limits
from appliance.web.router import Router
from tests.rooms.web.house import a_house, get


def route(path: str, text: str = "x", method: str = "GET") -> Route:
    return Route(method, path, lambda request: Response(200, text.encode(), "text/plain"), "A test.", lane=Lane.FAST)


async def test_kept_alive_peer_that_repeats_its_request_sees_a_route_come_change_and_go():
    """A peer's last head is remembered with the route it was admitted to."""
    first, second = route("/new", "first"), route("/new", "second")
    async with a_house() as house:
        peer = await house.peer()
        before = await peer.ask(get("/new"))
        house.front.mount((), [first])
        then = await peer.ask(get("/new"))
        house.front.mount([first], [second])
        changed = await peer.ask(get("/new"))
        house.front.mount([second], ())
        after = await peer.ask(get("/new"))

    assert [one.status for one in (before, then, changed, after)] == [404, 200, 200, 404]
    assert (then.body, changed.body) == (b"first", b"second")


@pytest.mark.parametrize(
    "path", ["/core", "/core/{id}", "/core/{other}", "/core/exact", "/files/a/b", "/core/{id}/{name:path}"]
)
def test_route_that_lies_under_another_is_refused_and_changes_nothing(path):
    core = [route("/core"), route("/core/{id}"), route("/files/{name:path}"), route("/core/{x}/{y:path}")]
    router = Router(core, authenticate=lambda request: None, limits=Limits())  # type: ignore[arg-type,return-value]
    free = route("/free/{id}")

    with pytest.raises(ValueError, match=r"two routes|others answer already"):
        router.mount((), [free, route(path)])

    assert router.plan("GET", "/free/7").params == {}
    router.mount((), [free, route("/free/exact"), route("/core", method="POST")])
    assert router.plan("GET", "/free/7").params == {"id": "7"}
    router.mount([free], [route("/free/{id}", "again")])
    assert router.plan("GET", "/free/8").params == {"id": "8"}
