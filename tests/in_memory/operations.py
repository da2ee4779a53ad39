"""What DynamoDB's operations do to tables in memory, what they refuse, and what they cost.

The rules are those of the "Amazon DynamoDB API Reference". An operation or option that is not known here fails; it is
never passed over. Reads from indexes are never behind the table.
"""

import itertools
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple, Protocol

from tests.in_memory import expressions, sizes
from tests.in_memory.expressions import InvalidExpressionError, Item, Scope
from tests.in_memory.refusals import ConditionFailedError, RefusalError, cancelled, condition_failed, old_item
from tests.in_memory.tables import Change, Place, Stored, Table, key_condition

Request = Mapping[str, Any]
Answer = dict[str, Any]

MAX_TRANSACTION_ITEMS = 100
MAX_TRANSACTION_BYTES = 4 * 1024 * 1024
MAX_BATCH_READ = 100
MAX_BATCH_WRITE = 25
MAX_BATCH_READ_BYTES = 16 * 1024 * 1024
_TOKENS_KEPT = 1000


class Consume(Protocol):
    """Told of the units that a request takes from a table."""

    def __call__(self, table: str, *, written: float = 0, read: float = 0) -> None: ...


class _Write(NamedTuple):
    """What a put, update, delete or condition check is about to do."""

    table: Table
    place: Place
    before: Stored | None
    after: Stored | None
    changes: bool = True

    @property
    def units(self) -> int:
        """Of the table itself."""
        return sizes.write_units(max(stored.size if stored else 0 for stored in (self.before, self.after)))


class Operations:
    """The operations on some tables.

    Args:
        consume: told of the units of each request, also of one that is refused.
        clock: seconds since the epoch.

    Attributes:
        page_bytes: how much a query or scan reads in one call.
    """

    def __init__(self, tables: Mapping[str, Table], consume: Consume, clock: Callable[[], float]) -> None:
        self.page_bytes = sizes.PAGE_BYTES
        self._tables = tables
        self._consume = consume
        self._clock = clock
        self._numbers = itertools.count(1)
        self._tokens: OrderedDict[str, Any] = OrderedDict()
        self._by_name: Mapping[str, Callable[[Request], Answer]] = {
            "PutItem": self._single,
            "UpdateItem": self._single,
            "DeleteItem": self._single,
            "GetItem": self._get_item,
            "BatchGetItem": self._batch_get_item,
            "BatchWriteItem": self._batch_write_item,
            "Query": self._query,
            "Scan": self._scan,
            "TransactWriteItems": self._transact_write_items,
            "TransactGetItems": self._transact_get_items,
        }

    def carry_out(self, operation: str, request: Request) -> Answer:
        """Carry out one request.

        Raises:
            RefusalError: DynamoDB answers with an error.
        """
        try:
            return self._by_name[operation](request)
        except InvalidExpressionError as error:
            raise RefusalError("ValidationException", str(error)) from None

    def expire(self, table: Table, now: float) -> int:
        """Remove what is past its time to live. Returns how many items that were."""
        dead = [item for item in table if table.ttl in item and int(item[table.ttl]["N"]) < now]
        for item in dead:
            table.write(table.place_of(table.keys(item)), None)
            self._tell(table, item, None, expired=True)
        return len(dead)

    # ---- one item

    def _single(self, request: Request) -> Answer:
        try:
            write = self._prepared(request)
        except ConditionFailedError as failed:
            table = self._table(request)
            self._consume(table.name, written=sizes.write_units(failed.stored.size if failed.stored else 0))
            raise condition_failed(request, failed.stored) from None
        units = self._commit(write) + write.units
        self._consume(write.table.name, written=units)
        answer = _capacity(request, {write.table.name: units})
        shown = _returned(request, write.before, write.after)
        return {**answer, "Attributes": shown} if shown else answer

    def _prepared(self, request: Request) -> _Write:
        """What a write is about to do, after its condition."""
        table = self._table(request)
        scope = _scope(request, "ConditionExpression", "UpdateExpression")
        place, after = _addressed(table, request)
        before = table.find(place)
        item = before.item if before else {}
        condition = request.get("ConditionExpression")
        if condition and not expressions.holds(condition, scope, item):
            raise ConditionFailedError(before)
        if "UpdateExpression" in request:
            after = self._updated(table, request, scope, item)
        return _Write(table, place, before, after)

    def _updated(self, table: Table, request: Request, scope: Scope, item: Item) -> Stored:
        changed = [scope.name(token) for token in expressions.changed_names(request["UpdateExpression"])]
        if len(set(changed)) < len(changed):
            raise InvalidExpressionError("Two document paths overlap with each other")
        if {name for name in table.schema if name} & set(changed):
            raise InvalidExpressionError("Cannot update attribute. This attribute is part of the key")
        _, after = table.check(expressions.updated(request["UpdateExpression"], scope, item or dict(request["Key"])))
        return after

    def _commit(self, write: _Write) -> float:
        """Carry it out. Returns the units of the table's indexes."""
        if not write.changes:
            return 0
        units = write.table.write(write.place, write.after)
        before, after = (stored.item if stored else None for stored in (write.before, write.after))
        if before != after:
            self._tell(write.table, before, after)
        return units

    def _tell(self, table: Table, before: Item | None, after: Item | None, *, expired: bool = False) -> None:
        """Record a change in the table's stream."""
        if not table.has_stream:
            return
        name = "REMOVE" if after is None else "MODIFY" if before else "INSERT"
        keys = table.keys(after or before or {})
        table.changes.append(Change(next(self._numbers), name, keys, after or {}, self._clock(), expired))

    def _get_item(self, request: Request) -> Answer:
        table = self._table(request)
        scope = _scope(request, "ProjectionExpression")
        stored = table.find(table.place_of(request["Key"]))
        units = sizes.read_units(stored.size if stored else 0, consistent=request.get("ConsistentRead", False))
        self._consume(table.name, read=units)
        answer = _capacity(request, {table.name: units})
        return {**answer, "Item": _shown(request, scope, stored.item)} if stored else answer

    # ---- several items

    def _batch_get_item(self, request: Request) -> Answer:
        found: dict[str, list[Item]] = {}
        units: defaultdict[str, float] = defaultdict(float)
        asked = 0
        for name, wanted in request["RequestItems"].items():
            table = self._named(name)
            scope = _scope(wanted, "ProjectionExpression")
            places = [table.place_of(key) for key in wanted["Keys"]]
            asked += len(places)
            if len(set(places)) < len(places):
                raise InvalidExpressionError("Provided list of item keys contains duplicates")
            stored = [one for place in places if (one := table.find(place))]
            found[name] = [_shown(wanted, scope, one.item) for one in stored]
            read = [one.size for one in stored] + [0] * (len(places) - len(stored))
            consistent = wanted.get("ConsistentRead", False)
            units[name] = sum(sizes.read_units(size, consistent=consistent) for size in read)
            if sum(read) > MAX_BATCH_READ_BYTES:
                raise NotImplementedError("a batch of more than 16 MB comes back in parts")
        if not 1 <= asked <= MAX_BATCH_READ:
            raise InvalidExpressionError("Too many items requested for the BatchGetItem call")
        for name, count in units.items():
            self._consume(name, read=count)
        return {"Responses": found, "UnprocessedKeys": {}, **_capacity(request, units, several=True)}

    def _batch_write_item(self, request: Request) -> Answer:
        writes = []
        for name, wanted in request["RequestItems"].items():
            for one in wanted:
                ((kind, what),) = one.items()
                part = {"Item": what["Item"]} if kind == "PutRequest" else {"Key": what["Key"]}
                writes.append(self._prepared({"TableName": name, **part}))
        places = {(write.table.name, write.place) for write in writes}
        if len(places) < len(writes):
            raise InvalidExpressionError("Provided list of item keys contains duplicates")
        if not 1 <= len(writes) <= MAX_BATCH_WRITE:
            raise InvalidExpressionError("Too many items requested for the BatchWriteItem call")
        units: defaultdict[str, float] = defaultdict(float)
        for write in writes:
            units[write.table.name] += self._commit(write) + write.units
        for name, count in units.items():
            self._consume(name, written=count)
        return {"UnprocessedItems": {}, **_capacity(request, units, several=True)}

    def _query(self, request: Request) -> Answer:
        table = self._table(request)
        scope = _scope(request, "KeyConditionExpression", "FilterExpression", "ProjectionExpression")
        index = request.get("IndexName")
        if index and request.get("ConsistentRead"):
            raise InvalidExpressionError("Consistent reads are not supported on global secondary indexes")
        if index and index not in table.indexes:
            raise InvalidExpressionError("The table does not have the specified index: " + index)
        schema = table.indexes[index].schema if index else table.schema
        partition, span = key_condition(request["KeyConditionExpression"], scope, schema)
        forward, after = request.get("ScanIndexForward", True), request.get("ExclusiveStartKey")
        if after and table.partition_of(index, after) != partition:
            raise InvalidExpressionError("The provided starting key is outside query boundaries")
        found = table.query(index, partition, span, forward=forward, after=after)
        return self._page(request, scope, table, found)

    def _scan(self, request: Request) -> Answer:
        table = self._table(request)
        if "IndexName" in request:
            raise NotImplementedError("a scan of an index")
        scope = _scope(request, "FilterExpression", "ProjectionExpression")
        start = request.get("ExclusiveStartKey")
        after = table.place_of(start) if start else None
        found = table.scan(request.get("Segment", 0), request.get("TotalSegments", 1), after)
        return self._page(request, scope, table, found)

    def _page(self, request: Request, scope: Scope, table: Table, found: Iterable[Stored]) -> Answer:
        """As much of what was found as one answer takes, filtered."""
        limit = request.get("Limit", float("inf"))
        if limit < 1:
            raise InvalidExpressionError("Limit must be greater than or equal to 1")
        items: list[Item] = []
        read = examined = 0
        last: Item | None = None
        more = False
        for stored in found:
            if examined and read + stored.size > self.page_bytes:
                more = True
                break
            examined += 1
            read += stored.size
            last = stored.item
            if "FilterExpression" not in request or expressions.holds(request["FilterExpression"], scope, stored.item):
                items.append(_shown(request, scope, stored.item))
            if examined == limit:
                more = True  # whether there is more, DynamoDB does not look
                break
        units = sizes.read_units(read, consistent=request.get("ConsistentRead", False))
        self._consume(table.name, read=units)
        answer: Answer = {"Count": len(items), "ScannedCount": examined, **_capacity(request, {table.name: units})}
        if request.get("Select") != "COUNT":
            answer["Items"] = items
        if more and last is not None:
            answer["LastEvaluatedKey"] = _page_key(table, request.get("IndexName"), last)
        return answer

    # ---- transactions

    def _transact_get_items(self, request: Request) -> Answer:
        answers: list[Answer] = []
        units: defaultdict[str, float] = defaultdict(float)
        if not 1 <= len(request["TransactItems"]) <= MAX_TRANSACTION_ITEMS:
            raise InvalidExpressionError("Member must have length less than or equal to 100")
        for wanted in (of_item["Get"] for of_item in request["TransactItems"]):
            table = self._table(wanted)
            scope = _scope(wanted, "ProjectionExpression")
            stored = table.find(table.place_of(wanted["Key"]))
            units[table.name] += 2 * sizes.read_units(stored.size if stored else 0, consistent=True)
            answers.append({"Item": _shown(wanted, scope, stored.item)} if stored else {})
        for name, count in units.items():
            self._consume(name, read=count)
        return {"Responses": answers, **_capacity(request, units, several=True)}

    def _transact_write_items(self, request: Request) -> Answer:
        token, wanted = request["ClientRequestToken"], request["TransactItems"]
        if token in self._tokens:
            if self._tokens[token] != wanted:
                raise RefusalError("IdempotentParameterMismatchException", "The token was used for another request")
            return _capacity(request, {}, several=True)
        if not 1 <= len(wanted) <= MAX_TRANSACTION_ITEMS:
            raise InvalidExpressionError("Member must have length less than or equal to 100")
        writes, reasons = zip(*(self._examined(*part) for one in wanted for part in one.items()), strict=True)
        self._check_transaction(writes)
        refused = any(reason["Code"] != "None" for reason in reasons)
        units: defaultdict[str, float] = defaultdict(float)
        for write in writes:
            units[write.table.name] += 2 * write.units + (0 if refused else self._commit(write))
        for name, count in units.items():
            self._consume(name, written=count)
        if refused:
            raise cancelled(reasons)
        self._tokens[token] = wanted
        if len(self._tokens) > _TOKENS_KEPT:
            self._tokens.popitem(last=False)
        return _capacity(request, units, several=True)

    def _examined(self, kind: str, request: Request) -> tuple[_Write, Mapping[str, Any]]:
        """What one of a transaction's items is about to do, and the reason why it must not, if there is one."""
        try:
            write = self._prepared(request)
        except ConditionFailedError as failed:
            message = "The conditional request failed"
            reason = {"Code": "ConditionalCheckFailed", "Message": message, **old_item(request, failed.stored)}
            table = self._table(request)
            place, _ = _addressed(table, request)
            return _Write(table, place, table.find(place), None, changes=False), reason
        return write._replace(changes=kind != "ConditionCheck"), {"Code": "None"}

    def _check_transaction(self, writes: Iterable[_Write]) -> None:
        places = [(write.table.name, write.place) for write in writes]
        if len(set(places)) < len(places):
            raise InvalidExpressionError("Transaction request cannot include multiple operations on one item")
        if sum(write.after.size for write in writes if write.after) > MAX_TRANSACTION_BYTES:
            raise InvalidExpressionError("Collective size of items in transaction cannot exceed 4MB")

    # ---- tables and units

    def _table(self, request: Request) -> Table:
        return self._named(request["TableName"])

    def _named(self, name: str) -> Table:
        if name not in self._tables:
            raise RefusalError("ResourceNotFoundException", f"Requested resource not found: Table: {name} not found")
        return self._tables[name]


def _addressed(table: Table, request: Request) -> tuple[Place, Stored | None]:
    """The place that a write is about, and the item that a put brings."""
    return table.check(request["Item"]) if "Item" in request else (table.place_of(request["Key"]), None)


def _returned(request: Request, before: Stored | None, after: Stored | None) -> Item:
    """The attributes that a write gives back, as its `ReturnValues` says."""
    wanted = request.get("ReturnValues", "NONE")
    stored = before if wanted.endswith("_OLD") else after
    if stored is None or wanted == "NONE" or (wanted.startswith("UPDATED") and "UpdateExpression" not in request):
        return {}
    return dict(stored.item) if wanted.startswith("ALL") else _changed(stored.item, request)


def _changed(item: Item, request: Request) -> Item:
    """The attributes that an update named."""
    names = request.get("ExpressionAttributeNames", {})
    changed = {names.get(token, token) for token in expressions.changed_names(request["UpdateExpression"])}
    return {name: value for name, value in item.items() if name in changed}


def _shown(request: Request, scope: Scope, item: Item) -> Item:
    if "ProjectionExpression" in request:
        return expressions.projected(request["ProjectionExpression"], scope, item)
    return dict(item)


def _scope(request: Request, *used: str) -> Scope:
    """What the request's names and values stand for; DynamoDB refuses those that no expression uses."""
    names, values = request.get("ExpressionAttributeNames", {}), request.get("ExpressionAttributeValues", {})
    if names or values:
        tokens = {token for kind in used if kind in request for token in expressions.placeholders(request[kind])}
        if unused := {*names, *values} - tokens:
            raise InvalidExpressionError(f"Value provided that is unused in expressions: {sorted(unused)}")
    return Scope(names, values)


def _page_key(table: Table, index: str | None, item: Item) -> Item:
    names = {*table.schema, *(table.indexes[index].schema if index else ())} - {None}
    return {name: item[name] for name in names if name}


def _capacity(request: Request, units: Mapping[str, float], *, several: bool = False) -> Answer:
    if request.get("ReturnConsumedCapacity", "NONE") == "NONE":
        return {}
    told = [{"TableName": name, "CapacityUnits": float(count)} for name, count in units.items()]
    return {"ConsumedCapacity": told if several else told[0]}
