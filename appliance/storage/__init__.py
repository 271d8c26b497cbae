"""Where events are kept: a port, and the engines behind it."""
