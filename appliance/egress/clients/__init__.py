"""Who is connected live, on any transport: counted, listed, kept alive, and ended for a reason."""
