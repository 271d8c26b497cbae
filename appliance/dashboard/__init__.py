"""The dashboard: pages that use nothing but the public API and the public stream."""
