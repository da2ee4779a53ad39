"""What AWS sends, and what it means: one pure mapper per source, from a raw envelope to a `MappedEvent`."""
