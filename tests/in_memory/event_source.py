"""An event source mapping of AWS Lambda, from a table's stream to a function.

    source = EventSource(db, "events", projector.handler, EventSourceMapping.deployed(template_properties))
    source.drain()

The rules are those of "Process DynamoDB records with Lambda", "Configuring partial batch response with DynamoDB and
Lambda" and "Retain discarded records for a DynamoDB event source in Lambda" (AWS Lambda Developer Guide):

* A shard's records are handed over in order, a batch at a time; with a parallelization factor, in order per item only.
* A batch whose function fails comes again: whole, or in halves, which does not count as a retry; from the first
  failure that the function reports on. When the retries are used up or the records too old, they are discarded, and a
  message without the records goes to the failure destination.
* A batch may come again though the function succeeded.
* A shard that was split is finished before its children begin.

Chance decides what AWS leaves open: sizes of batches, which shard is next, what is delivered again.
"""

import json
import random
import zlib
from bisect import bisect_left
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from tests.in_memory.dynamodb import InMemoryDynamoDB
from tests.in_memory.faults import CrashError
from tests.in_memory.interleaving import Outcome, interleaved, turns_of
from tests.in_memory.records import STREAM_ARN, Render, dynamodb_record, sequence_number
from tests.in_memory.tables import Change

Handler = Callable[[dict[str, Any], Any], Any]
_HASHES = 2**32


@dataclass(frozen=True, kw_only=True)
class EventSourceMapping:
    """The settings of a mapping, with Lambda's defaults; -1 is no limit.

    Attributes:
        max_age: seconds.
        event_names: what the filter lets through; None for everything.
        reports_failures: the function answers with `batchItemFailures`.
    """

    batch_size: int = 100
    parallelization: int = 1
    bisects: bool = False
    max_retries: int = -1
    max_age: int = -1
    event_names: frozenset[str] | None = None
    reports_failures: bool = False

    @classmethod
    def deployed(cls, properties: Any) -> "EventSourceMapping":
        """From the properties of an event of the type DynamoDB or Kinesis in a SAM template."""
        patterns = [json.loads(one["Pattern"]) for one in properties.get("FilterCriteria", {}).get("Filters", ())]
        return cls(
            batch_size=properties.get("BatchSize", 100),
            parallelization=properties.get("ParallelizationFactor", 1),
            bisects=properties.get("BisectBatchOnFunctionError", False),
            max_retries=properties.get("MaximumRetryAttempts", -1),
            max_age=properties.get("MaximumRecordAgeInSeconds", -1),
            event_names=frozenset(name for one in patterns for name in one["eventName"]) or None,
            reports_failures="ReportBatchItemFailures" in properties.get("FunctionResponseTypes", ()),
        )


@dataclass(eq=False)
class Shard:
    """A part of the stream: the changes of the partition keys whose hashes lie between `low` and `high`."""

    id: str
    low: int
    high: int
    parents: "Sequence[Shard]" = ()
    changes: list[Change] = field(default_factory=list)
    lanes: "list[_Lane]" = field(default_factory=list)
    is_open: bool = True

    @property
    def is_finished(self) -> bool:
        """Nothing will ever come from it any more."""
        return not self.is_open and all(lane.is_empty for lane in self.lanes)


@dataclass(eq=False)
class _Lane:
    """What one batch at a time is taken from."""

    shard: Shard
    waiting: deque[Change] = field(default_factory=deque)
    parts: list[Sequence[Change]] = field(default_factory=list)
    retries: int = 0

    @property
    def is_empty(self) -> bool:
        return not (self.waiting or self.parts)


class EventSource:
    """The mapping and its stream.

    Args:
        handler: the function, as Lambda calls it.
        shards: how many the stream begins with.
        repeats: the probability that a batch that was handled comes again.
        short: the probability that a batch is smaller than it could be.
        render: the shape of the records.
        latest: begin behind what was appended before.

    Attributes:
        destination: the messages that the failure destination received.
        errors: what ended the function, each time that it failed.
        invocations: how often the function ran.
    """

    def __init__(
        self,
        db: InMemoryDynamoDB,
        table: str,
        handler: Handler,
        mapping: EventSourceMapping | None = None,
        *,
        shards: int = 1,
        repeats: float = 0,
        short: float = 0,
        chance: random.Random | None = None,
        render: Render = dynamodb_record,
        latest: bool = False,
    ) -> None:
        self.destination: list[dict[str, Any]] = []
        self.errors: list[BaseException] = []
        self.invocations = 0
        self._db = db
        self._changes = db.changes(table)
        self._handler = handler
        self._mapping = mapping or EventSourceMapping()
        self._repeats, self._short = repeats, short
        self._chance = chance or random.Random(0)
        self._clock = db.clock
        self._render = render
        self._read = len(self._changes) if latest else 0
        self.shards: list[Shard] = []
        for number in range(shards):
            self._open(_HASHES * number // shards, _HASHES * (number + 1) // shards)

    # ---- delivering

    def drain(self, *, at_once: int = 1, most: int = 100_000) -> None:
        """Deliver until nothing is left.

        Args:
            at_once: of how many lanes batches are handled at the same time, interleaved at their requests.
            most: invocations after which it gives up.

        Raises:
            AssertionError: something is left then.
        """
        last = self.invocations + most
        while self.deliver(at_once=at_once):
            assert self.invocations < last, f"something is left after {most} invocations"

    def deliver(self, *, at_once: int = 1) -> bool:
        """Deliver one batch from each of some lanes. Returns whether there was any."""
        self._poll()
        ready = [lane for lane in self._ready() if self._next_part(lane)]
        if not ready:
            return any(not lane.is_empty for lane in self._ready())
        chosen = self._chance.sample(ready, min(at_once, len(ready)))
        self.invocations += len(chosen)
        runs = [self._invoking(lane.parts[0]) for lane in chosen]
        outcomes = interleaved(self._db, runs, turns_of(self._chance)) if len(runs) > 1 else [_outcome(runs[0])]
        self.errors += [outcome.error for outcome in outcomes if outcome.error]
        for lane, outcome in zip(chosen, outcomes, strict=True):
            self._settle(lane, outcome)
        return True

    def split(self, shard: Shard | None = None) -> None:
        """Split an open shard in two: it takes no more changes, and its children begin when it is finished."""
        self._poll()
        parent = shard or self._chance.choice([one for one in self.shards if one.is_open])
        parent.is_open = False
        middle = (parent.low + parent.high) // 2
        for low, high in ((parent.low, middle), (middle, parent.high)):
            self._open(low, high, (parent,))

    def redelivered(self, message: dict[str, Any]) -> dict[str, Any]:
        """The event that a message of the failure destination tells of, read from the stream again."""
        told = message["DDBStreamBatchInfo"]
        (shard,) = [shard for shard in self.shards if shard.id == told["shardId"]]
        found = [
            change
            for change in shard.changes
            if told["startSequenceNumber"] <= sequence_number(change) <= told["endSequenceNumber"]
        ]
        return event(found, self._render)

    def _open(self, low: int, high: int, parents: Sequence[Shard] = ()) -> None:
        shard = Shard(f"shardId-{len(self.shards):020d}", low, high, parents)
        shard.lanes = [_Lane(shard) for _ in range(self._mapping.parallelization)]
        self.shards.append(shard)

    def _poll(self) -> None:
        """Put what was appended to the table since into its shards."""
        opened = sorted((shard for shard in self.shards if shard.is_open), key=lambda shard: shard.high)
        for change in self._changes[self._read :]:
            where = _hash(next(iter(change.keys.values())))
            shard = opened[bisect_left(opened, where + 1, key=lambda shard: shard.high)]
            shard.changes.append(change)
            if self._mapping.event_names is None or change.name in self._mapping.event_names:
                shard.lanes[_hash(change.keys) % len(shard.lanes)].waiting.append(change)
        self._read = len(self._changes)

    def _ready(self) -> Iterator[_Lane]:
        for shard in self.shards:
            if all(parent.is_finished for parent in shard.parents):
                yield from (lane for lane in shard.lanes if not lane.is_empty)

    def _next_part(self, lane: _Lane) -> bool:
        """Make sure that the lane has something to hand over that is young enough. Returns whether it has."""
        if not lane.parts:
            size = min(len(lane.waiting), self._mapping.batch_size)
            if self._chance.random() < self._short:
                size = self._chance.randint(1, size)
            lane.parts = [[lane.waiting.popleft() for _ in range(size)]]
            lane.retries = 0
        if self._mapping.max_age >= 0:
            oldest = self._clock() - self._mapping.max_age
            part = lane.parts[0]
            old = [change for change in part if change.at < oldest]
            if old:
                self._discard(lane, old, "RecordAgeExceeded")
                self._hand_over(lane, [change for change in part if change.at >= oldest])
        return bool(lane.parts)

    def _invoking(self, part: Sequence[Change]) -> Callable[[], Any]:
        return lambda: self._handler(event(part, self._render), None)

    def _settle(self, lane: _Lane, outcome: Outcome) -> None:
        """What becomes of the lane's batch after the function ran."""
        part = lane.parts[0]
        left = list(part) if outcome.error else self._unhandled(part, outcome.result)
        if not left:
            if self._chance.random() >= self._repeats:
                self._hand_over(lane, [])
        elif outcome.error and self._mapping.bisects and len(left) > 1:
            half = len(left) // 2
            self._hand_over(lane, left[:half], left[half:])
        elif 0 <= self._mapping.max_retries <= lane.retries:
            self._discard(lane, left, "RetryAttemptsExhausted")
            self._hand_over(lane, [])
        else:
            retries = lane.retries + 1
            self._hand_over(lane, left)
            lane.retries = retries

    def _unhandled(self, part: Sequence[Change], answer: Any) -> list[Change]:
        """What the function did not handle: everything from the first that it reports on."""
        if not self._mapping.reports_failures or not answer:
            return []
        failed = [one["itemIdentifier"] for one in answer.get("batchItemFailures") or ()]
        numbers = [sequence_number(change) for change in part]
        if not failed:
            return []
        if any(number not in numbers for number in failed):
            return list(part)  # "an empty or bad identifier": the whole batch failed
        return list(part[numbers.index(min(failed)) :])

    def _hand_over(self, lane: _Lane, *instead: Sequence[Change]) -> None:
        """Put something in the place of the lane's first part."""
        lane.parts[:1] = [part for part in instead if part]
        lane.retries = 0

    def _discard(self, lane: _Lane, changes: Sequence[Change], condition: str) -> None:
        self.destination.append(
            {
                "requestContext": {"condition": condition, "approximateInvokeCount": lane.retries + 1},
                "responseContext": {"statusCode": 200, "functionError": "Unhandled"},
                "version": "1.0",
                "timestamp": _iso(self._clock()),
                "DDBStreamBatchInfo": {
                    "shardId": lane.shard.id,
                    "startSequenceNumber": sequence_number(changes[0]),
                    "endSequenceNumber": sequence_number(changes[-1]),
                    "approximateArrivalOfFirstRecord": _iso(changes[0].at),
                    "approximateArrivalOfLastRecord": _iso(changes[-1].at),
                    "batchSize": len(changes),
                    "streamArn": STREAM_ARN,
                },
            }
        )


def event(changes: Iterable[Change], render: Render = dynamodb_record) -> dict[str, Any]:
    """What Lambda calls a function with."""
    return {"Records": [render(change) for change in changes]}


def anyhow(
    changes: Sequence[Change], chance: random.Random, *, most: int = 100, repeats: float = 0.2, losses: float = 0
) -> Iterator[list[Change]]:
    """Batches as no stream promises to avoid: in any order, some changes several times, some never.

    Args:
        most: the most changes in a batch.
        repeats: how many of the changes come again, as a share of all.
        losses: the probability that a change never comes.
    """
    told = [change for change in changes if chance.random() >= losses]
    told += chance.choices(told, k=round(len(told) * repeats)) if told else []
    chance.shuffle(told)
    while told:
        size = chance.randint(1, most)
        yield told[:size]
        del told[:size]


def _outcome(run: Callable[[], Any]) -> Outcome:
    try:
        return Outcome(run())
    except (Exception, CrashError) as error:  # noqa: BLE001 - whatever ends the function, the batch failed
        return Outcome(error=error)


def _hash(value: Any) -> int:
    return zlib.crc32(repr(value).encode())


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
