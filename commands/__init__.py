"""The write side: the write API and ingest. Load a stream, decide, append."""

import gc

from infra.settings import GARBAGE_THRESHOLD

gc.set_threshold(GARBAGE_THRESHOLD)  # here, because Lambda imports the package before anything else
