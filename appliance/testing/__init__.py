"""For tests, ours and those of plugin authors: run a plugin without a server, and worlds that fail on request."""

from appliance.testing.harness import Rig, harness

__all__ = ["Rig", "harness"]
