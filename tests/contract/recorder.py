"""The test case that the `eventsourcing` library has for its own recorders.

Test modules import this one and not the class: pytest would collect it there, too.
"""

import warnings

# The library's own modules warn at import; what they do there is theirs.
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from eventsourcing.tests.persistence import AggregateRecorderTestCase

__all__ = ["AggregateRecorderTestCase"]
