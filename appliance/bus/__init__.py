"""Live events: encode once, join once, offer to everyone, wait for nobody."""

from appliance.bus.service import Bus, Greeting, Subscription

__all__ = ["Bus", "Greeting", "Subscription"]
