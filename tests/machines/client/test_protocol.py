import msgspec
import pytest

from appliance.client import protocol
from appliance.client.protocol import Call, Session
from appliance.client.replies import Reply
from appliance.client.shapes import Category, Message, Namespace, Poke, Receipt, StreamHead, Topic, Write
from appliance.errors import NotFound, PeerFailed, Rejected, VersionConflict


def sent(operation):
    return msgspec.json.decode(operation.call.body)


def answered(operation, value):
    return operation.finish(Reply(200, msgspec.json.encode(value)))


def test_a_write_sends_only_the_options_that_were_given():
    bare = protocol.write(Write("order-7", "Placed", {"total": 9}))
    full = protocol.write(Write("order-7", "Placed", {}, {"by": "me"}, "an-id", -1), "key-1")

    assert sent(bare) == ["stream.write", "order-7", {"type": "Placed", "data": {"total": 9}}, {}]
    assert sent(full) == [
        "stream.write",
        "order-7",
        {"type": "Placed", "data": {}, "metadata": {"by": "me"}},
        {"id": "an-id", "expectedVersion": -1},
    ]
    assert full.call.headers == (("idempotency-key", "key-1"),)


def test_only_a_write_with_a_key_may_be_sent_again():
    again = [protocol.write(Write("s", "T"), key).call.again for key in ("", "k")]

    assert again == [False, True]
    assert protocol.version("s").call.again
    assert not protocol.delete_namespace("n").call.again


def test_a_receipt_reads_as_stream_and_position():
    receipt = answered(protocol.write(Write("order-7", "T")), {"position": 12, "globalPosition": 99})

    assert (receipt, str(receipt)) == (Receipt("order-7", 12, 99), "order-7 @ 12")


def test_a_batch_has_one_receipt_per_message():
    operation = protocol.write_many([Write("s-1", "A"), Write("s-2", "B", {"x": 1}, id="id-2", expected_version=5)])

    receipts = answered(operation, [{"position": 5, "globalPosition": 8}, {"position": 6, "globalPosition": 9}])

    assert sent(operation) == [
        "stream.writeMany",
        [
            {"stream": "s-1", "type": "A", "data": {}},
            {"stream": "s-2", "type": "B", "data": {"x": 1}, "id": "id-2", "expectedVersion": 5},
        ],
    ]
    assert receipts == (Receipt("s-1", 5, 8), Receipt("s-2", 6, 9))


def test_messages_keep_integers_of_any_size():
    row = ["id", "T", 0, 1, {"n": 12345678901234567890123}, None, "2026-01-01T00:00:00Z"]

    (message,) = answered(protocol.read_stream("s", 0, 10), [row])

    assert message == Message("id", "s", "T", 0, 1, {"n": 12345678901234567890123}, None, "2026-01-01T00:00:00Z")


def test_a_category_read_carries_its_filters():
    operation = protocol.read_category("order", 5, 10, "user", 0, 2)

    assert sent(operation) == [
        "category.get",
        "order",
        {"position": 5, "batchSize": 10, "correlation": "user", "consumerGroup": {"member": 0, "size": 2}},
    ]


def test_the_last_message_may_be_none():
    assert answered(protocol.last("s", "T"), None) is None
    assert sent(protocol.last("s", "T")) == ["stream.last", "s", {"type": "T"}]


def test_what_a_namespace_holds_is_read_into_plain_values():
    heads = answered(protocol.streams("a", "", 5), [{"stream": "a-1", "version": 3, "lastActivity": "t"}])
    kinds = answered(protocol.categories(), [{"category": "a", "streamCount": 1, "messageCount": 4}])
    spaces = answered(
        protocol.namespaces(), [{"namespace": "n", "description": "d", "createdAt": "t", "messageCount": 4}]
    )

    assert heads == [StreamHead("a-1", 3, "t")]
    assert kinds == [Category("a", 1, 4)]
    assert spaces == [Namespace("n", "d", "t", 4)]


def test_an_answer_of_another_form_is_the_peers_failure():
    with pytest.raises(PeerFailed, match="unexpected form"):
        answered(protocol.version("s"), "three")


def test_a_refusal_is_raised_with_the_stream_it_is_about():
    body = {"error": {"code": "STREAM_VERSION_CONFLICT", "message": "m", "details": {"expected": 1, "actual": 2}}}

    with pytest.raises(VersionConflict, match="stream s-1 is at version 2, not 1"):
        protocol.write(Write("s-1", "T", expected_version=1)).finish(Reply(409, msgspec.json.encode(body)))


def test_any_other_route_answers_plain_values():
    operation = protocol.rest("GET", "/a b", query={"q": "x y"})

    assert operation.call.target == "/a%20b?q=x+y"
    assert answered(operation, {"a": 1}) == {"a": 1}
    assert operation.finish(Reply(204)) is None
    with pytest.raises(NotFound):
        operation.finish(Reply(404, b"nothing here"))


@pytest.mark.parametrize(
    ("topic", "query"),
    [
        (Topic("order-7"), "stream=order-7&position=3"),
        (Topic(categories=("order",), member=1, size=2), "category=order&consumer=1&size=2&position=3"),
        (Topic(categories=("order", "bill")), "categories=order%2Cbill&position=3"),
        (Topic(), "all=true&position=3"),
    ],
)
def test_a_subscription_names_its_topic(topic, query):
    assert protocol.subscribe(topic, 3).target == f"/subscribe?{query}"


def test_a_topic_is_one_stream_or_categories_and_a_whole_group():
    with pytest.raises(ValueError, match="not both"):
        Topic("a", ("b",))
    with pytest.raises(ValueError, match="both member and size"):
        Topic(categories=("a",), member=1)


def test_a_poke_is_read_from_its_data():
    assert protocol.poke_of('{"stream":"a-1","position":5,"globalPosition":12}') == Poke("a-1", 5, 12)


def test_a_session_puts_the_token_into_a_header_and_never_into_the_url():
    session = Session("http://box:8420/store/", "ns_token")
    call = Call("POST", "/rpc", b"[]")

    assert session.target(call) == "http://box:8420/store/rpc"
    assert session.headers(call) == [
        ("user-agent", "appliance-client"),
        ("authorization", "Bearer ns_token"),
        ("content-type", "application/json"),
    ]


@pytest.mark.parametrize("url", ["box:8420", "ftp://box", "http://", ""])
def test_an_address_that_is_none_is_refused(url):
    with pytest.raises(Rejected, match="not a server address"):
        Session(url)


@pytest.mark.parametrize("header", ["x-eventodb-token", "x-messagedb-token"])
def test_a_session_without_token_adopts_the_one_a_test_server_offers(header):
    """MDB003 1A_T2 and T3: taken from the response header, sent as bearer from then on."""
    session = Session("http://box")

    session.saw({header: "ns_first"})
    session.saw({header: "ns_second"})

    assert ("authorization", "Bearer ns_first") in session.headers(Call("GET", "/"))
