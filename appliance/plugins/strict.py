"""Moved: `appliance.config.strict`."""

from appliance.config.strict import Source, closest, decode

__all__ = ["Source", "closest", "decode"]
