"""Webhooks that arrive: other systems tell us, with a signature, and it becomes an event, once."""
