"""The stream consumers: they fold domain events into views and counters, and decide and send notifications."""

import gc

from infra.settings import GARBAGE_THRESHOLD

gc.set_threshold(GARBAGE_THRESHOLD)  # here, because Lambda imports the package before anything else
