"""The plugin host: finds plugins, runs each behind a wall of its own, and shows how they are."""
