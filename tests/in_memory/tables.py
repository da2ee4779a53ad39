"""A table in memory: its items in order of their keys, its indexes, and the change records of its stream."""

import zlib
from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any, NamedTuple

from tests.in_memory import expressions, sizes
from tests.in_memory.expressions import InvalidExpressionError, Item, Node, Scope

Place = tuple[Any, Any]
"""An item's partition key and sort key, as they compare; tables without a sort key have "" there."""

_HASHES = 2**32
_LAST_CHARACTER = chr(0x10FFFF)


class Change(NamedTuple):
    """A record of the table's stream.

    Attributes:
        number: its place among all changes of the account; it rises.
        name: INSERT, MODIFY or REMOVE.
        at: seconds since the epoch.
        expired: DynamoDB removed the item, because its time to live was over.
    """

    number: int
    name: str
    keys: Item
    image: Item
    at: float
    expired: bool = False


class Stored(NamedTuple):
    """An item and its size in bytes."""

    item: Item
    size: int


class Schema(NamedTuple):
    """The names of the key attributes; `sort` is None if there is none."""

    partition: str
    sort: str | None


class Index:
    """A global secondary index with all attributes: the places of the items that have its keys."""

    def __init__(self, schema: Schema) -> None:
        self.schema = schema
        self.partitions: dict[Any, list[tuple[Any, Place]]] = {}

    def place(self, stored: Stored | None) -> Place | None:
        """Where an item stands in it; None if it does not."""
        if stored is None or any(name not in stored.item for name in self.schema if name):
            return None
        return _place(self.schema, stored.item)

    def move(self, place: Place, before: Stored | None, after: Stored | None) -> None:
        old, new = self.place(before), self.place(after)
        if old == new:
            return
        if old:
            entries = self.partitions[old[0]]
            del entries[bisect_left(entries, (old[1], place))]
            if not entries:
                del self.partitions[old[0]]
        if new:
            insort(self.partitions.setdefault(new[0], []), (new[1], place))


class Table:
    """A table as CloudFormation's `AWS::DynamoDB::Table` defines it.

    Attributes:
        changes: the records of its stream, in order; none if it has no stream.
    """

    def __init__(self, name: str, properties: Mapping[str, Any]) -> None:
        self.name = name
        self.schema = _schema(properties)
        self.indexes = {
            index["IndexName"]: Index(_schema(index)) for index in properties.get("GlobalSecondaryIndexes", ())
        }
        self.ttl: str | None = properties.get("TimeToLiveSpecification", {}).get("AttributeName")
        self.has_stream = "StreamSpecification" in properties
        self.changes: list[Change] = []
        self._types = {d["AttributeName"]: d["AttributeType"] for d in properties["AttributeDefinitions"]}
        self._partitions: dict[Any, dict[Any, Stored]] = {}
        self._sorted: dict[Any, list[Any]] = {}
        self._by_hash: list[tuple[int, Any]] = []

    def __iter__(self) -> Iterator[Item]:
        """All items, in the order of a scan."""
        return (stored.item for stored in self.scan())

    def __len__(self) -> int:
        return sum(map(len, self._partitions.values()))

    def find(self, place: Place) -> Stored | None:
        return self._partitions.get(place[0], {}).get(place[1])

    def keys(self, item: Item) -> Item:
        return {name: item[name] for name in self.schema if name}

    def place_of(self, key: Item) -> Place:
        """The place that a request's key names.

        Raises:
            InvalidExpressionError: it is not this table's key.
        """
        if set(key) != {name for name in self.schema if name}:
            raise InvalidExpressionError("The provided key element does not match the schema")
        self._check_keys(self.schema, key)
        return _place(self.schema, key)

    def check(self, item: Item) -> tuple[Place, Stored]:
        """A complete item, and its place.

        Raises:
            InvalidExpressionError: DynamoDB would refuse it: by its size, or by its keys' types or sizes.
        """
        if any(name not in item for name in self.schema if name):
            raise InvalidExpressionError("One or more parameter values were invalid: Missing the key in the item")
        for schema in (self.schema, *(index.schema for index in self.indexes.values())):
            self._check_keys(schema, item)
        size = sizes.item_bytes(item)
        if size > sizes.MAX_ITEM_BYTES:
            raise InvalidExpressionError("Item size has exceeded the maximum allowed size")
        return _place(self.schema, item), Stored(dict(item), size)

    def write(self, place: Place, after: Stored | None) -> int:
        """Put or remove (None) an item. Returns the write units of the table's indexes."""
        before = self.find(place)
        units = 0
        for index in self.indexes.values():
            units += _index_units(index, before, after)
            index.move(place, before, after)
        if after is None:
            self._remove(place)
        else:
            self._put(place, after)
        return units

    def query(
        self, index: str | None, partition: Any, span: "Span", *, forward: bool = True, after: Item | None = None
    ) -> Iterator[Stored]:
        """The items of one partition, in order, behind the one that `after` is the key of."""
        if index is None:
            keys = span.cut(self._sorted.get(partition, []), lambda key: key)
            for key in _behind(keys, self.place_of(after)[1] if after else None, forward=forward):
                yield self._partitions[partition][key]
            return
        held = self.indexes[index]
        entries = span.cut(held.partitions.get(partition, []), lambda entry: entry[0])
        start = (_place(held.schema, after)[1], _place(self.schema, after)) if after else None
        for _, place in _behind(entries, start, forward=forward):
            yield self._partitions[place[0]][place[1]]

    def partition_of(self, index: str | None, key: Item) -> Any:
        """The partition of the table, or of an index, that a key is in."""
        return _place(self.indexes[index].schema if index else self.schema, key)[0]

    def scan(self, segment: int = 0, of: int = 1, after: Place | None = None) -> Iterator[Stored]:
        """The items of a segment, whole partitions in the order of their hashes."""
        first = (_HASHES * segment // of, "")
        start = bisect_left(self._by_hash, (_hash(after[0]), after[0]) if after else first, key=_comparable)
        end = bisect_left(self._by_hash, _HASHES * (segment + 1) // of, key=lambda entry: entry[0])
        for _, partition in self._by_hash[start:end]:
            keys = self._sorted[partition]
            skipped = bisect_right(keys, after[1]) if after and after[0] == partition else 0
            for key in keys[skipped:]:
                yield self._partitions[partition][key]

    def _put(self, place: Place, stored: Stored) -> None:
        partition, key = place
        if partition not in self._partitions:
            self._partitions[partition], self._sorted[partition] = {}, []
            insort(self._by_hash, (_hash(partition), partition), key=_comparable)
        if key not in self._partitions[partition]:
            insort(self._sorted[partition], key)
        self._partitions[partition][key] = stored

    def _remove(self, place: Place) -> None:
        partition, key = place
        if self._partitions.get(partition, {}).pop(key, None) is None:
            return
        keys = self._sorted[partition]
        del keys[bisect_left(keys, key)]
        if not keys:
            del self._partitions[partition], self._sorted[partition]
            del self._by_hash[bisect_left(self._by_hash, (_hash(partition), partition), key=_comparable)]

    def _check_keys(self, schema: Schema, item: Item) -> None:
        limits = (sizes.MAX_PARTITION_KEY_BYTES, sizes.MAX_SORT_KEY_BYTES)
        for name, limit in zip(schema, limits, strict=True):
            if name is None or name not in item:
                continue
            if self._types[name] not in item[name]:
                raise InvalidExpressionError(f"One or more parameter values were invalid: Type mismatch for key {name}")
            size = sizes.value_bytes(item[name])
            if not size:
                raise InvalidExpressionError(f"The AttributeValue for a key attribute cannot be empty: {name}")
            if size > limit:
                raise InvalidExpressionError(f"Size of the key {name} has exceeded the maximum size limit of {limit}")


class Span(NamedTuple):
    """The part of a partition that a key condition leaves: an operator and what the sort key is compared with."""

    operator: str = ""
    values: tuple[Any, ...] = ()

    def cut(self, ordered: list[Any], key: Callable[[Any], Any]) -> list[Any]:
        """This part of what is in order by `key`."""
        if not self.operator:
            return ordered
        first, last = self.values[0], self.values[-1]
        if self.operator == "begins_with":
            last = first + _LAST_CHARACTER
        start = end = None
        if self.operator in {"=", ">=", "BETWEEN", "begins_with"}:
            start = bisect_left(ordered, first, key=key)
        elif self.operator == ">":
            start = bisect_right(ordered, first, key=key)
        if self.operator in {"=", "<=", "BETWEEN", "begins_with"}:
            end = bisect_right(ordered, last, key=key)
        elif self.operator == "<":
            end = bisect_left(ordered, first, key=key)
        if start is None and end is None:
            raise InvalidExpressionError(f"Invalid operator used in KeyConditionExpression: {self.operator}")
        return ordered[start:end]


def key_condition(expression: str, scope: Scope, schema: Schema) -> tuple[Any, Span]:
    """The partition that a key condition names, and what it leaves of it.

    Raises:
        InvalidExpressionError: it is no key condition for such keys.
    """
    node = expressions.condition(expression)
    found: dict[str, Node] = {}
    for part in node.parts if node.kind == "AND" else (node,):
        found[scope.name(part.parts[0].parts[0])] = part
    partition = found.pop(schema.partition, None)
    if partition is None or partition.kind != "=":
        raise InvalidExpressionError(f"Query condition missed key schema element: {schema.partition}")
    span = found.pop(schema.sort, None) if schema.sort else None
    if found:
        raise InvalidExpressionError("Query key condition not supported")
    (value,) = _values(partition, scope)
    return value, Span(span.kind, _values(span, scope)) if span else Span()


def _values(node: Node, scope: Scope) -> tuple[Any, ...]:
    return tuple(_comparing(scope.value(part.parts[0])) for part in node.parts[1:])


def _behind(ordered: list[Any], start: Any, *, forward: bool) -> Sequence[Any]:
    if forward:
        return ordered[bisect_right(ordered, start) :] if start is not None else ordered
    return (ordered[: bisect_left(ordered, start)] if start is not None else ordered)[::-1]


def _schema(properties: Mapping[str, Any]) -> Schema:
    names = {key["KeyType"]: key["AttributeName"] for key in properties["KeySchema"]}
    return Schema(names["HASH"], names.get("RANGE"))


def _place(schema: Schema, item: Item) -> Place:
    return _comparing(item[schema.partition]), _comparing(item[schema.sort]) if schema.sort else ""


def _comparing(value: Mapping[str, Any]) -> Any:
    ((kind, content),) = value.items()
    return Decimal(content) if kind == "N" else content


def _hash(partition: Any) -> int:
    return zlib.crc32(partition if isinstance(partition, bytes) else str(partition).encode())


def _comparable(entry: tuple[int, Any]) -> tuple[int, str]:
    return entry[0], str(entry[1])


def _index_units(index: Index, before: Stored | None, after: Stored | None) -> int:
    """One per KB of each entry that is put, changed or removed; an entry that moves is removed and put."""
    old, new = index.place(before), index.place(after)
    if before and after and old and old == new:
        return sizes.write_units(max(before.size, after.size)) if before.item != after.item else 0
    entries = [stored for stored, place in ((before, old), (after, new)) if stored and place]
    return sum(sizes.write_units(stored.size) for stored in entries)
