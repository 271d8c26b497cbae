"""The durable log: one place to write, one place to read, one order for everybody."""

from appliance.log.service import Log

__all__ = ["Log"]
