"""Broadcast channels over WebSocket: short messages that say "something changed", with history."""
