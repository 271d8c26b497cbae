"""Machines that keep trouble where it is: when to try again, and when not to try at all."""
