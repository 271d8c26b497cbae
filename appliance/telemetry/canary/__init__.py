"""The canary: a test event that travels each way a real one takes, again and again, and is measured."""
