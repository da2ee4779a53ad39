"""What the event store cost: calls, units, bytes, conflicts and retries, summed until they are reported.

Reported as one line of CloudWatch's embedded metric format per invocation, which costs no call.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from threading import Lock
from typing import Any


@dataclass
class Usage:
    """Sums since the last report."""

    calls: int = 0
    write_units: float = 0.0
    read_units: float = 0.0
    bytes_written: int = 0
    bytes_read: int = 0
    conflicts: int = 0
    retries: int = 0
    _lock: Lock = field(default_factory=Lock, init=False, repr=False, compare=False)

    def note(self, answer: Mapping[str, Any], *, written: int = 0, read: int = 0, writes: bool) -> None:
        """Add one answered call.

        Args:
            answer: DynamoDB's, to a request with `ReturnConsumedCapacity`.
            written: bytes of events.
            read: bytes of events.
            writes: whether its units are write units.
        """
        consumed = answer.get("ConsumedCapacity") or []
        units = sum(table["CapacityUnits"] for table in (consumed if isinstance(consumed, list) else [consumed]))
        with self._lock:
            self.calls += 1
            self.retries += answer.get("ResponseMetadata", {}).get("RetryAttempts", 0)
            self.bytes_written += written
            self.bytes_read += read
            if writes:
                self.write_units += units
            else:
                self.read_units += units

    def taken(self) -> "Usage":
        """These sums; they begin anew."""
        with self._lock:
            taken = replace(self)
            for each in fields(self):
                if each.init:
                    setattr(self, each.name, each.default)
            return taken


PROCESS = Usage()
"""What this process used. A function's process handles one invocation at a time, so this is the invocation's."""


def report(usage: Usage = PROCESS) -> None:
    """Write the metrics of one invocation to the log, if there were any calls."""
    from aws_lambda_powertools.metrics import Metrics, MetricUnit  # noqa: PLC0415

    sums = usage.taken()
    if not sums.calls:
        return
    metrics = Metrics(namespace="opsledger", service="opsledger")
    for name, unit, value in (
        ("EventStoreCalls", MetricUnit.Count, sums.calls),
        ("EventStoreWriteUnits", MetricUnit.Count, sums.write_units),
        ("EventStoreReadUnits", MetricUnit.Count, sums.read_units),
        ("EventStoreBytesWritten", MetricUnit.Bytes, sums.bytes_written),
        ("EventStoreBytesRead", MetricUnit.Bytes, sums.bytes_read),
        ("EventStoreConflicts", MetricUnit.Count, sums.conflicts),
        ("EventStoreRetries", MetricUnit.Count, sums.retries),
    ):
        metrics.add_metric(name=name, unit=unit, value=value)
    metrics.flush_metrics()
