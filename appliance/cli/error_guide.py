"""Every error code with its meaning and the next move. The command and the reference page are made of this table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from appliance.cli.exits import Exit

__all__ = ["GUIDE", "Entry"]


@dataclass(frozen=True, slots=True)
class Entry:
    """One code of ours, and what the message-store API calls the same."""

    code: str
    meaning: str
    move: str
    exit: Exit
    status: int | None = None  # of the HTTP answer; None: never on the wire
    wire: tuple[str, ...] = ()

    def fields(self) -> dict[str, Any]:
        return {
            "code": self.code,
            "wire": list(self.wire),
            "status": self.status,
            "exit": int(self.exit),
            "meaning": self.meaning,
            "move": self.move,
        }


GUIDE = (
    Entry(
        "usage",
        "The command line was not understood.",
        "See the examples: appliance VERB --help.",
        Exit.USAGE,
    ),
    Entry(
        "config_error",
        "The configuration is wrong; file, line and key are in the message.",
        "Change it; `appliance config explain KEY` tells what fits, `appliance check` looks at all of it.",
        Exit.USAGE,
    ),
    Entry(
        "unreachable",
        "Nobody answers at that address.",
        "Start it with `appliance serve`, or name another with --url; behind a name, try the address itself.",
        Exit.UNREACHABLE,
    ),
    Entry(
        "rejected",
        "The request was understood, and is wrong.",
        "Change what the message names and send it again.",
        Exit.INVALID,
        422,
        ("INVALID_REQUEST", "INVALID_RECORD"),
    ),
    Entry(
        "bad_condition",
        "A condition is not written as the language wants it; the column is in the message.",
        "Change it at the caret; docs/protocol/conditions.md has the whole language.",
        Exit.INVALID,
        400,
    ),
    Entry(
        "condition_unanswered",
        "A condition has no answer for an event: a field is missing, or is not what it is compared with.",
        "Ask first: has_field('total') && total > 100. What could not be answered counts as not holding.",
        Exit.FAILED,
    ),
    Entry(
        "job_already_pending",
        "A job of this type, for this note and memory, waits or runs already, and no second one was wanted.",
        "Nothing to do; `appliance job list` shows it.",
        Exit.CONFLICT,
        409,
    ),
    Entry(
        "job_taken_away",
        "The job has changed while this was on its way: somebody else has cancelled, retried or finished it.",
        "Look at it again with `appliance job show`.",
        Exit.CONFLICT,
        409,
    ),
    Entry(
        "job_stopped",
        "A handler was told that its job is wanted no more.",
        "Let the error pass after cleaning up; the job ends as cancelled, or waits for its worker to be back.",
        Exit.FAILED,
        409,
    ),
    Entry(
        "malformed_json",
        "The body is not the JSON that is wanted: cut off, too deep, a name twice, or not UTF-8.",
        "Look at the place the message names.",
        Exit.INVALID,
        400,
        ("INVALID_JSON",),
    ),
    Entry(
        "bad_request",
        "The bytes on the connection are not HTTP as it should be.",
        "Use an ordinary HTTP client; the message names the rule that was broken.",
        Exit.FAILED,
        400,
    ),
    Entry(
        "too_large",
        "The body, or one event in it, is larger than the limit.",
        "Send less at once; the limits are in [limits] and log.max_event of the configuration.",
        Exit.INVALID,
        413,
    ),
    Entry(
        "idempotency_key_reused",
        "The same Idempotency-Key came with another body within a day.",
        "Use a fresh key for each different write.",
        Exit.INVALID,
        422,
        ("IDEMPOTENCY_KEY_REUSED",),
    ),
    Entry(
        "payload_refused",
        "A webhook arrived that is signed, but not what its receiver's schema describes.",
        "The message names each place; POST /api/v1/webhooks/incoming/validate tries a payload.",
        Exit.INVALID,
        400,
    ),
    Entry(
        "target_refused",
        "A webhook may not be sent there: it is no URL of the public Internet.",
        "List receivers in your own network under webhooks.allow; the hint has the line to add.",
        Exit.INVALID,
        400,
    ),
    Entry(
        "sealed",
        "What is kept of a webhook was encrypted with another key.",
        "Put run/appliance.key back, or give the webhook its URL and a secret anew.",
        Exit.FAILED,
        503,
    ),
    Entry(
        "unauthenticated",
        "No token was given, or nobody knows it.",
        "Give one with --token. On the same machine the owner's is found by itself, in DATA/run/owner.token.",
        Exit.NOT_ALLOWED,
        401,
        ("AUTH_REQUIRED", "AUTH_INVALID_TOKEN"),
    ),
    Entry(
        "forbidden",
        "The token is known, and may not do this.",
        "Use one of that namespace with the scope: appliance token create --scope write.",
        Exit.NOT_ALLOWED,
        403,
        ("AUTH_UNAUTHORIZED",),
    ),
    Entry(
        "not_found",
        "There is no such thing here.",
        "List what there is: `appliance stream list`, `appliance namespace list`, `appliance token list`.",
        Exit.NOT_FOUND,
        404,
        ("METHOD_NOT_FOUND", "STREAM_NOT_FOUND", "NAMESPACE_NOT_FOUND", "NOT_FOUND"),
    ),
    Entry(
        "method_not_allowed",
        "The address exists, but not for this HTTP method.",
        "The allowed ones are in the header Allow.",
        Exit.FAILED,
        405,
    ),
    Entry(
        "conflict",
        "The world moved on meanwhile.",
        "Read again and retry.",
        Exit.CONFLICT,
        409,
    ),
    Entry(
        "version_conflict",
        "A write expected the stream at one version and met it at another; nothing was written.",
        "Read the stream again, decide anew, and write with the version you saw.",
        Exit.CONFLICT,
        409,
        ("STREAM_VERSION_CONFLICT",),
    ),
    Entry(
        "duplicate",
        "Something with this id, name or position exists already.",
        "If you retried a write whose answer was lost, it is done. Else choose another id.",
        Exit.CONFLICT,
        409,
        ("MESSAGE_ID_CONFLICT", "NAMESPACE_EXISTS", "POSITION_EXISTS"),
    ),
    Entry(
        "data_in_use",
        "Another process works on this data folder.",
        "Stop it with `appliance stop`, or give this one a folder of its own with --data.",
        Exit.CONFLICT,
    ),
    Entry(
        "limit_reached",
        "Too much at once.",
        "Wait for the seconds in Retry-After; the limits are in [clients] and [limits] of the configuration.",
        Exit.FAILED,
        429,
    ),
    Entry(
        "too_many_clients",
        "All places for live connections are taken, in all, from this address or with this token.",
        "Wait for the seconds in Retry-After, close others (`appliance clients list`), or raise [clients].",
        Exit.FAILED,
        503,
    ),
    Entry(
        "bad_frame",
        "A frame on a broadcast WebSocket is not a JSON object; only that frame was lost.",
        'Send {"subscribe": ["NAME"]}, {"unsubscribe": ["NAME"]}, or both in one frame.',
        Exit.INVALID,
    ),
    Entry(
        "oauth_error",
        "An OAuth request was refused; `error` and `error_description` in the answer say why.",
        "Change what they name; the codes are those of RFC 6749, section 5.2.",
        Exit.FAILED,
        400,
    ),
    Entry(
        "unavailable",
        "We, or something we need, are not ready: starting, stopping, or the disk is full.",
        "Wait and try again; `appliance status` and `appliance check` tell what it waits for.",
        Exit.FAILED,
        503,
    ),
    Entry(
        "events_lost",
        "Events that had been acknowledged are not on the disk any more: it lied, or files were put back.",
        "Restore a newer backup, or go on without them: appliance serve --accept-loss.",
        Exit.FAILED,
        503,
    ),
    Entry(
        "corrupt",
        "Stored bytes are not what was written.",
        "Stop, copy the data folder aside, and restore the last backup: appliance restore.",
        Exit.FAILED,
        500,
    ),
    Entry(
        "broken",
        "Something that is always true was not: a mistake of ours.",
        "It restarts by itself; report the log lines around the request id.",
        Exit.FAILED,
        500,
        ("INTERNAL_ERROR",),
    ),
    Entry(
        "peer_failed",
        "The other side answered, but with a failure of its own.",
        "Look at its log, then try again.",
        Exit.FAILED,
        502,
        ("BACKEND_ERROR", "IMPORT_FAILED", "READ_ERROR", "CLEAR_FAILED"),
    ),
    Entry(
        "plugin_misdeclared",
        "A plugin declares something that cannot be.",
        "The message names the declaration; try it with `appliance plugin check FOLDER`.",
        Exit.FAILED,
    ),
    Entry(
        "plugin_crashed",
        "A plugin failed. The rest goes on without it.",
        "`appliance status` shows the crash, the log the whole traceback.",
        Exit.FAILED,
    ),
    Entry(
        "plugin_failed",
        "A handler of a plugin went wrong, or gave what cannot be sent.",
        "Tell the plugin's author: the log has the traceback under the request_id, `appliance plugin show NAME` why.",
        Exit.FAILED,
        500,
    ),
    Entry(
        "worker_failed",
        "A job failed in a process of its own.",
        "The message is what the job's handler raised; the dead letter of the job has its traceback.",
        Exit.FAILED,
    ),
)
