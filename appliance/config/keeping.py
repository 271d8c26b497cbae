"""How long events are kept, when plugins and the configuration both have a word in it. Pure."""

from __future__ import annotations

from appliance.config.schema import Settings

__all__ = ["Keeping"]


class Keeping:
    """How long categories are kept: as plugins declare it, unless the configuration says otherwise."""

    def __init__(self, settings: Settings) -> None:
        self.declared: dict[str, float] = {}
        self.configure(settings)

    def configure(self, settings: Settings) -> None:
        self._said = {category: one.retention for category, one in settings.log.categories.items()}

    @property
    def ages(self) -> dict[str, float]:
        merged = {**self.declared, **self._said}
        return {category: age for category, age in merged.items() if age is not None}
