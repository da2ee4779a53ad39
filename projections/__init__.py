"""The stream consumers: they fold domain events into views and counters, and decide and send notifications."""
