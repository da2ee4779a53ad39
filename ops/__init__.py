"""Running it: the command line, the local stack, packaging and deployment. Never deployed itself."""
