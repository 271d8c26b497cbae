"""A realtime appliance for your own network, in one file."""

__version__ = "0.1.0"
