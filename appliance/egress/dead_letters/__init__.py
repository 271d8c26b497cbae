"""The shelf of the dead: what webhooks, jobs and plugins gave up, until a person tries it again or drops it."""
