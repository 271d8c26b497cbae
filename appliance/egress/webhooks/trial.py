"""A test event, sent at once and once."""

from __future__ import annotations

import msgspec
from msgspec.structs import replace

from appliance.egress.webhooks.bodies import Message, message_id
from appliance.egress.webhooks.courier import Office, attempt
from appliance.egress.webhooks.endpoint import Delivery, Endpoint, Place
from appliance.egress.webhooks.sender import Sender
from appliance.egress.webhooks.verdicts import Outcome

__all__ = ["trial"]

NAME = "test"


async def trial(office: Office, sender: Sender, endpoint: Endpoint, place: Place) -> Delivery:
    """What came of it. The receiver sees the event type `test`."""
    world = office.world
    number = office.store.number(world.wall_us())
    delivery = Delivery(world.new_id(), endpoint.id, number, "", NAME, 0, again=True)
    body = msgspec.json.encode({"event": NAME, "type": NAME, "webhook_id": endpoint.id, "delivery_id": delivery.id})
    sent = Message(message_id(delivery.id), NAME, body)
    result, delivery = await attempt(office, sender, endpoint, place, delivery, sent)
    done = result.verdict.outcome is Outcome.DELIVERED
    return replace(delivery, state="succeeded" if done else "failed")
