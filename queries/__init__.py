"""The read side: the read-only API over views, the outbox and the events table."""
