"""A client of the message-store HTTP API, for ordinary code and for Trio.

    from appliance.client import Client, Topic

    with Client("http://127.0.0.1:8420", token) as client:
        receipt = client.write("order-7", "OrderPlaced", {"total": 90}, expected_version=-1)
        for message in client.get_stream("order-7"):
            print(message.position, message.type, message.data)
        with client.tail(Topic(categories=("order",))) as messages:
            for message in messages: ...  # history first, then each new one; survives restarts of the server

`AsyncClient` has the same operations for Trio. What can go wrong is in `appliance.errors`.
"""

from appliance.client.blocking import Client
from appliance.client.on_trio import AsyncClient
from appliance.client.replies import Unreachable
from appliance.client.shapes import (
    Category,
    Created,
    Deleted,
    Imported,
    Message,
    Namespace,
    Poke,
    Receipt,
    StreamHead,
    Topic,
    Write,
)

__all__ = [
    "AsyncClient",
    "Category",
    "Client",
    "Created",
    "Deleted",
    "Imported",
    "Message",
    "Namespace",
    "Poke",
    "Receipt",
    "StreamHead",
    "Topic",
    "Unreachable",
    "Write",
]
