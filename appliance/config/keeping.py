"""How long events are kept, when plugins and the configuration both have a word in it. Pure."""

from __future__ import annotations

from appliance.config.schema import Settings

__all__ = ["FOR_EVER", "Keeping"]


# "off" for a category is an age, not the absence of one: it holds against the default of all others.
FOR_EVER = 1000 * 365 * 86_400.0  # seconds


class Keeping:
    """The age of each category: as its plugin declares it, unless the configuration says otherwise."""

    def __init__(self, settings: Settings) -> None:
        self.declared: dict[str, float] = {}
        self.configure(settings)

    def configure(self, settings: Settings) -> None:
        categories = settings.log.categories.items()
        self._said = {name: FOR_EVER if one.retention is None else one.retention for name, one in categories}

    @property
    def ages(self) -> dict[str, float]:
        """In seconds."""
        return {**self.declared, **self._said}
