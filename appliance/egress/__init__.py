"""How events leave: dialects over SSE and WebSocket."""
