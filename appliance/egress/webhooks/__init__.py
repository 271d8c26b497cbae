"""Webhooks: the other systems of the house are told, provably, even if they were asleep for a day."""
