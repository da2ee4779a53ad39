"""The views table as it is stored, generation by generation: to compare two of them, to recount one, to remove one."""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from functools import partial
from itertools import islice
from typing import Any, NamedTuple

from infra import clients
from infra.generations import projection_of
from infra.patience import patiently, pause, write
from infra.replay import WHOLE, Segment
from infra.views import Key, Row

_KEYS = ("pk", "gsi1pk", "gsi2pk")
_MOVING = ("version", "n")
"""What changes whenever an item of a stream, or a number, does."""
_PASSING = {"TransactionConflict", "ProvisionedThroughputExceeded", "ThrottlingError"}
"""Reasons of `TransactGetItems` that pass ("Amazon DynamoDB API Reference")."""


class Stored(NamedTuple):
    """One item.

    Attributes:
        key: without the generation.
        content: its attributes as DynamoDB gives them, without generations.
    """

    generation: int
    projection: str
    key: Key
    content: Mapping[str, Any]
    raw: Mapping[str, Any]

    @property
    def is_counter(self) -> bool:
        return self.key.pk.startswith("counter#")

    @property
    def is_register(self) -> bool:
        """A number that only ever rises."""
        return "n" in self.content and not self.is_counter

    @property
    def number(self) -> int:
        """Of a counter's part, or a register."""
        return int(Decimal(self.content.get("n", {}).get("N", 0)))

    @property
    def ttl(self) -> float | None:
        """When it expires, in seconds since the epoch; None: never."""
        ttl = self.content.get("ttl", {}).get("N")
        return None if ttl is None else float(ttl)

    @property
    def expired(self) -> bool:
        """DynamoDB removes expired items within days; until then they are there, and nobody shows them."""
        return self.ttl is not None and self.ttl <= time.time()

    def row(self) -> Row:
        row: Row = Row.from_raw_data(dict(self.raw))
        return row

    @property
    def version(self) -> int:
        """Of the stream that a row shows; 0 for rows beside it, and for counters."""
        return int(Decimal(self.content.get("version", {}).get("N", 0)))


def scan(
    chosen: Mapping[str, int], segment: Segment = WHOLE, before: Callable[[], object] = lambda: None
) -> Iterator[Stored]:
    """Every item of these generations, by projection, strongly consistent. One call per MB of the whole table.

    Args:
        before: called before each call, of which many may give nothing.
    """
    request: dict[str, Any] = {"TableName": Row.Meta.table_name, "ConsistentRead": True}
    if segment.of > 1:
        request |= {"Segment": segment.number, "TotalSegments": segment.of}
    while True:
        page: Any = patiently(partial(clients.dynamodb().scan, **request), before)
        yield from (item for item in map(_stored, page.pop("Items")) if item and _is_of(item, chosen))
        if "LastEvaluatedKey" not in page:
            return
        request["ExclusiveStartKey"] = page["LastEvaluatedKey"]


def twins(items: Sequence[Stored], chosen: Mapping[str, int]) -> dict[Key, Stored]:
    """The items of the same keys in other generations, strongly consistent. At most 100 at once."""
    return by_key([(chosen[item.projection], item.key) for item in items])


def by_key(keys: Sequence[tuple[int, Key]]) -> dict[Key, Stored]:
    """The items of these generations and keys that exist, strongly consistent. At most 100 at once."""
    if not keys:
        return {}
    raw = [_raw_key(*key) for key in keys]
    wanted: Any = {Row.Meta.table_name: {"Keys": raw, "ConsistentRead": True}}
    found: dict[Key, Stored] = {}
    attempt = 0
    while wanted:
        answer: Any = patiently(partial(clients.dynamodb().batch_get_item, RequestItems=wanted))
        for item in map(_stored, answer["Responses"].get(Row.Meta.table_name, [])):
            if item:
                found[item.key] = item
        wanted = answer.get("UnprocessedKeys")
        if wanted:
            attempt += 1
            pause(attempt)
    return found


def together(places: Sequence[tuple[int, Key]]) -> dict[tuple[int, Key], Stored] | None:
    """Those of some items that exist, all as they stand at one moment. At most 100 at once; two read units per 4 KB.

    Returns:
        None if that was not to be had: a transaction held one of them, or DynamoDB was busy. Ask again.
    """
    client = clients.dynamodb()
    gets: Any = [{"Get": {"TableName": Row.Meta.table_name, "Key": _raw_key(*place)}} for place in places]
    try:
        answers = client.transact_get_items(TransactItems=gets)["Responses"]
    except client.exceptions.TransactionCanceledException as error:
        reasons: Any = error.response.get("CancellationReasons", [])
        if {reason.get("Code") for reason in reasons} & _PASSING:
            return None
        raise
    items = (_stored(answer["Item"]) for answer in answers if answer.get("Item"))
    return {(item.generation, item.key): item for item in items if item}


def all_by_key(chosen: Mapping[str, int], keys: Iterable[Key]) -> dict[Key, Stored]:
    """The items of these generations that exist among `keys`, strongly consistent. A call per 100 keys."""
    found: dict[Key, Stored] = {}
    remaining = iter(dict.fromkeys(keys))
    while some := list(islice(remaining, 100)):
        found |= by_key([(chosen[projection_of(key.pk)], key) for key in some])
    return found


def add(moves: Iterable[tuple[int, Key, int]]) -> None:
    """Add to numbers, each with its generation. Of a hundred together it is all or none, and once only."""
    remaining = iter(moves)
    while some := list(islice(remaining, 100)):
        updates: Any = [
            {
                "Update": {
                    "TableName": Row.Meta.table_name,
                    "Key": _raw_key(generation, key),
                    "UpdateExpression": "ADD n :by",
                    "ExpressionAttributeValues": {":by": {"N": str(by)}},
                }
            }
            for generation, key, by in some
        ]
        clients.dynamodb().transact_write_items(TransactItems=updates)


def discard(item: Stored) -> bool:
    """Delete an item if it still has the version and the number that it was read with. Returns whether it is gone."""
    seen = {name: item.raw[name] for name in _MOVING if name in item.raw}
    condition = " AND ".join(
        f"#{name} = :{name}" if name in seen else f"attribute_not_exists(#{name})" for name in _MOVING
    )
    request: Any = {
        "TableName": Row.Meta.table_name,
        "Key": _raw_key(item.generation, item.key),
        "ConditionExpression": condition,
        "ExpressionAttributeNames": {f"#{name}": name for name in _MOVING},
    }
    if seen:
        request["ExpressionAttributeValues"] = {f":{name}": value for name, value in seen.items()}
    try:
        clients.dynamodb().delete_item(**request)
    except clients.dynamodb().exceptions.ConditionalCheckFailedException:
        return False
    return True


def remove(chosen: Mapping[str, int], before: Callable[[], object]) -> Iterator[int]:
    """Delete these generations. Yields how many items are gone so far.

    Args:
        before: called before each call; what it raises ends it.
    """
    removed = 0
    for some in in_hundreds(scan(chosen, before=before)):
        requests = ({"DeleteRequest": {"Key": _raw_key(item.generation, item.key)}} for item in some)
        removed += write(Row.Meta.table_name, requests, before)
        yield removed


def in_hundreds(items: Iterable[Stored]) -> Iterator[list[Stored]]:
    remaining = iter(items)
    while some := list(islice(remaining, 100)):
        yield some


def content(row: Row) -> Mapping[str, Any]:
    """A row's attributes as DynamoDB would give them, without generations."""
    return _without_generations(row.serialize())


def _is_of(item: Stored, chosen: Mapping[str, int]) -> bool:
    return chosen.get(item.projection) == item.generation


def _stored(item: Mapping[str, Any]) -> Stored | None:
    generation, bar, pk = item["pk"]["S"].partition("|")
    if not bar or not generation.isdigit():
        return None  # a mark
    try:
        projection = projection_of(pk)
    except KeyError:
        return None  # put there by hand: nobody reads it
    return Stored(int(generation), projection, Key(pk, item["sk"]["S"]), _without_generations(item), item)


def _without_generations(item: Mapping[str, Any]) -> Mapping[str, Any]:
    return {name: {"S": value["S"].partition("|")[2]} if name in _KEYS else value for name, value in item.items()}


def _raw_key(generation: int, key: Key) -> dict[str, Any]:
    return {"pk": {"S": f"{generation}|{key.pk}"}, "sk": {"S": key.sk}}
