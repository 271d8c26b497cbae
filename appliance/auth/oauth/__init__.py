"""OAuth 2: programs that act for somebody are registered, and given tokens that end by themselves."""
