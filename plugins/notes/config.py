"""What an operator may set in `[plugins.notes]`."""

from __future__ import annotations

from dataclasses import dataclass, field

from .note import Mode

__all__ = ["PIPELINE", "Config"]

PIPELINE = ("ai_revision", "embedding", "title_generation", "concept_tagging", "linking")


@dataclass(frozen=True)
class Config:
    """Every field is a key there."""

    max_chars: int = 20_000  # longest text accepted, in characters
    memories: tuple[str, ...] = ()  # names a request may give; empty: any
    pipeline: tuple[str, ...] = PIPELINE  # jobs that follow each change of a text
    revision_mode: Mode | None = None  # None: "standard" with an endpoint, "none" without
    endpoint: str = ""  # of a model with OpenAI's chat completions, "http://127.0.0.1:11434/v1"; empty: there is none
    model: str = "default"
    key: str = field(default="", repr=False)  # of the endpoint: { env = "NAME" } or { file = "name" }
    timeout: float = 60.0  # seconds until the model has answered
    links: int = 10  # most of one note
    link_above: float = 0.1  # how like two notes are that are linked, 0 to 1

    def __post_init__(self) -> None:
        if unknown := [name for name in self.pipeline if name not in PIPELINE]:
            raise ValueError(f"pipeline knows {', '.join(PIPELINE)}, not {unknown[0]!r}")
        if not (self.max_chars > 0 and self.links >= 0 and 0 <= self.link_above <= 1 and self.timeout > 0):
            raise ValueError("max_chars and timeout are above 0, links at least 0, link_above between 0 and 1")
