"""The write side: the write API and ingest. Load a stream, decide, append."""
