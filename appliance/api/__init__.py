"""What a plugin may use of the appliance. Nothing else is promised.

A plugin is a folder with a `plugin.toml` and a module that builds one `Plugin`. It declares what it
brings through doors; the host calls the handlers and gives them what they ask for by name:

    door       declares                              its handler may ask for
    event      a type of event, and its stream       -
    route      an answer to HTTP requests            ctx request config log, and the path's parameters
    on         a durable consumer of events          ctx event config log
    job        work that is queued, tried again      ctx job note_id config log, and the job's arguments
    action     something to be asked for by name     ctx event config log, and arguments
    service    work as long as the plugin lasts      ctx config log
    panel      a card with values                    ctx config log

`ctx` is the `Context`: state, events, jobs, HTTP, time, randomness, threads. `config` is the decoded config, the same
as `ctx.config`; `log` the plugin's logger, the same as `ctx.log`. A field of an event that is `UNSET` is left out of
what is stored, where `None` is stored as null.

Declaring has no effect of its own: importing a plugin starts nothing, so a test can import it too.
"""

from __future__ import annotations

from msgspec import UNSET, UnsetType

from appliance.api.context import Context, Http, Job, Log, Request, State, Transaction
from appliance.api.doors import (
    ActionDoor,
    EventDoor,
    JobDoor,
    OnDoor,
    PanelDoor,
    Plugin,
    RouteDoor,
    ServiceDoor,
    pascal,
)
from appliance.api.values import Caller, Event, HttpReply, Misdeclared, NoConfig, Receipt, Response
from appliance.errors import (
    ApplianceError,
    Conflict,
    Duplicate,
    Forbidden,
    KeyReused,
    LimitReached,
    NotFound,
    PeerFailed,
    Rejected,
    TooLarge,
    Unauthenticated,
    Unavailable,
)

__all__ = [
    "API",
    "UNSET",
    "ActionDoor",
    "ApplianceError",
    "Caller",
    "Conflict",
    "Context",
    "Duplicate",
    "Event",
    "EventDoor",
    "Forbidden",
    "Http",
    "HttpReply",
    "Job",
    "JobDoor",
    "KeyReused",
    "LimitReached",
    "Log",
    "Misdeclared",
    "NoConfig",
    "NotFound",
    "OnDoor",
    "PanelDoor",
    "PeerFailed",
    "Plugin",
    "Receipt",
    "Rejected",
    "Request",
    "Response",
    "RouteDoor",
    "ServiceDoor",
    "State",
    "TooLarge",
    "Transaction",
    "Unauthenticated",
    "Unavailable",
    "UnsetType",
    "pascal",
]

API = 1  # the number a manifest names; it changes when plugins written for the old one would break
