"""A revised text of a note: by a model behind an HTTP endpoint, or, without one, the sentences that say most.

The endpoint speaks the chat completions of OpenAI's API, as llama.cpp, Ollama, vLLM and many others do. A long text is
revised part by part, so that its progress can be told and no part is too long for a small model.

Source: https://platform.openai.com/docs/api-reference/chat/create
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from appliance.api import Http, LimitReached, PeerFailed, Rejected

from .note import Mode
from .text import summary

__all__ = ["ORDERS", "Made", "Model", "by_model", "extracted"]

PART = 4000  # characters that are sent at once

ORDERS: Mapping[Mode, str] = {
    "full": "Rewrite the note: clear structure, complete sentences, headings where they help. Keep every fact.",
    "standard": "Revise the note: fix language and structure, keep its length and every fact.",
    "light": "Correct spelling, grammar and formatting of the note. Change nothing else.",
    "contextual": "Revise the note. Where the related notes below make something clearer, say it. Keep every fact.",
    "contextual_filtered": "Revise the note. Use the related notes below only where they are about the same thing.",
}
ANSWER_ONLY = " Answer with the text of the note only, in its own language."

SHARES: Mapping[Mode, float] = {"light": 2 / 3, "full": 1 / 2}  # of the sentences that stay; others keep a third

Tell = Callable[[int, str], Awaitable[None]]  # percent, and what is being done


@dataclass(frozen=True)
class Model:
    """Where a model answers."""

    endpoint: str  # the part before /chat/completions
    name: str
    key: str = ""
    timeout: float = 60.0  # seconds for one part


@dataclass(frozen=True)
class Made:
    """A revised text, and how it came about."""

    content: str
    metadata: Mapping[str, Any]
    model: str | None = None


def extracted(content: str, mode: Mode) -> Made:
    """Without a model: what stands in the text already. Says so in its metadata."""
    text = summary(content, share=SHARES.get(mode, 1 / 3), most=20)
    return Made(text, {"method": "extractive", "mode": mode, "generated": False})


async def by_model(http: Http, model: Model, content: str, mode: Mode, related: Sequence[str], tell: Tell) -> Made:
    """What the model makes of the text.

    Args:
        related: texts of related notes, for the modes that look at them.

    Raises:
        PeerFailed, LimitReached: it cannot be reached or has too much to do; later it may go well.
        Rejected: it refuses the request; trying again would change nothing.
    """
    parts = _parts(content)
    order = ORDERS[mode] + ANSWER_ONLY + "".join(f"\n\nRelated note:\n{text[:PART]}" for text in related)
    revised = []
    for number, part in enumerate(parts):
        await tell(10 + 80 * number // len(parts), f"part {number + 1} of {len(parts)}")
        revised.append(await _asked(http, model, order, part))
    metadata = {"method": "model", "mode": mode, "generated": True, "parts": len(parts), "related": len(related)}
    return Made("\n\n".join(revised), metadata, model.name)


async def _asked(http: Http, model: Model, order: str, part: str) -> str:
    reply = await http.request(
        "POST",
        model.endpoint.rstrip("/") + "/chat/completions",
        headers={"authorization": f"Bearer {model.key}"} if model.key else {},
        json={
            "model": model.name,
            "messages": [{"role": "system", "content": order}, {"role": "user", "content": part}],
            "temperature": 0.2,
        },
        timeout=model.timeout,
    )
    if reply.status == 429:
        raise LimitReached("the model endpoint asks for patience: rate limit", retry_after=30)
    if reply.status >= 500 or reply.status == 408:
        raise PeerFailed(f"the model endpoint answers {reply.status}", status=reply.status)
    if reply.status != 200:
        raise Rejected(f"the model endpoint refuses: {reply.status}", hint="check plugins.notes: endpoint, model, key")
    return _said(reply.json())


def _said(answer: Any) -> str:
    """Raises PeerFailed: this is no answer of a chat."""
    match answer:
        case {"choices": [{"message": {"content": str(text)}}, *_]} if text.strip():
            return text.strip()
    raise PeerFailed("the answer of the model endpoint holds no text")


def _parts(content: str) -> list[str]:
    """Whole paragraphs, as many as one request takes; a longer paragraph is cut."""
    parts = [""]
    for paragraph in content.split("\n\n"):
        for begin in range(0, max(1, len(paragraph)), PART):
            piece = paragraph[begin : begin + PART]
            if parts[-1] and len(parts[-1]) + len(piece) + 2 > PART:
                parts.append("")
            parts[-1] += ("\n\n" if parts[-1] else "") + piece
    return parts
