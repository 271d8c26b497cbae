"""For tests, ours and those of plugin authors: run a plugin without a server, and worlds that fail on request."""

from appliance.errors import ConfigError
from appliance.testing.harness import Reply, Rig, harness, load

__all__ = ["ConfigError", "Reply", "Rig", "harness", "load"]
