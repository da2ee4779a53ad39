"""The read side: the read-only API over views, the outbox and the events table."""

import gc

from infra.settings import GARBAGE_THRESHOLD

gc.set_threshold(GARBAGE_THRESHOLD)  # here, because Lambda imports the package before anything else
