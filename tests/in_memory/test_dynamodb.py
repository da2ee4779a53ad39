"""The DynamoDB in memory answers as moto's does, costs what DynamoDB costs, and meets the faults it is told of."""

import random
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError, ConnectionClosedError
from moto import mock_aws
from pynamodb.exceptions import PutError

from infra import counters, generations
from infra.counters import CounterRow
from infra.views import Row
from tests.in_memory import deployed
from tests.in_memory.dynamodb import InMemoryDynamoDB, client
from tests.in_memory.faults import CrashError, Fault, at_request
from tests.in_memory.interleaving import interleaved, turns_of

TABLE: dict[str, Any] = {
    "AttributeDefinitions": [{"AttributeName": name, "AttributeType": "S"} for name in ("pk", "sk", "g", "h")],
    "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
    "GlobalSecondaryIndexes": [
        {
            "IndexName": "index",
            "KeySchema": [{"AttributeName": "g", "KeyType": "HASH"}, {"AttributeName": "h", "KeyType": "RANGE"}],
            "Projection": {"ProjectionType": "ALL"},
        }
    ],
    "StreamSpecification": {"StreamViewType": "NEW_IMAGE"},
    "TimeToLiveSpecification": {"AttributeName": "ttl", "Enabled": True},
}
Step = tuple[str, dict[str, Any]]


@pytest.fixture
def db() -> Iterator[InMemoryDynamoDB]:
    with InMemoryDynamoDB({"t": TABLE}).installed() as db:
        yield db


def key(pk: str, sk: str) -> dict[str, Any]:
    return {"pk": {"S": pk}, "sk": {"S": sk}}


def put(pk: str, sk: str, **more: Any) -> dict[str, Any]:
    return {"TableName": "t", "Item": {**key(pk, sk), **more}}


# ---- the same script, the same answers


def script(chance: random.Random) -> Iterator[Step]:
    """Requests of every kind, over few enough items that they meet."""
    for _ in range(200):
        yield chance.choice(KINDS)(chance)


def some_key(chance: random.Random) -> dict[str, Any]:
    return key(chance.choice("ab"), chance.choice(["s1", "s2", "s30", "t"]))


def some_item(chance: random.Random) -> dict[str, Any]:
    item = {**some_key(chance), "n": {"N": str(chance.randrange(5))}, "text": {"S": chance.choice(["x", "xyz"])}}
    if chance.random() < 0.6:
        item |= {"g": {"S": chance.choice("pq")}, "h": {"S": f"{chance.randrange(10**9)}"}}
    return item


CONDITIONS: list[dict[str, Any]] = [
    {},
    {"ConditionExpression": "attribute_not_exists(pk)"},
    {"ConditionExpression": "attribute_exists (#p)", "ExpressionAttributeNames": {"#p": "pk"}},
    {"ConditionExpression": "n > :n", "ExpressionAttributeValues": {":n": {"N": "2"}}},
    {
        "ConditionExpression": "(#n = :n AND begins_with(#x, :x)) OR NOT attribute_exists(g)",
        "ExpressionAttributeNames": {"#n": "n", "#x": "text"},
        "ExpressionAttributeValues": {":n": {"N": "3"}, ":x": {"S": "xy"}},
    },
    {
        "ConditionExpression": "n BETWEEN :a AND :b AND n <> :a",
        "ExpressionAttributeValues": {":a": {"N": "1"}, ":b": {"N": "3"}},
    },
    {
        "ConditionExpression": "n IN (:a, :b) OR contains(g, :g)",
        "ExpressionAttributeValues": {":a": {"N": "1"}, ":b": {"N": "3"}, ":g": {"S": "p"}},
    },
]
UPDATES: list[dict[str, Any]] = [
    {"UpdateExpression": "ADD n :by", "ExpressionAttributeValues": {":by": {"N": "-2"}}},
    {
        "UpdateExpression": "SET #x = :x, m = if_not_exists(m, :one) + :one REMOVE g",
        "ExpressionAttributeNames": {"#x": "text"},
        "ExpressionAttributeValues": {":x": {"S": "set"}, ":one": {"N": "1"}},
    },
    {
        "UpdateExpression": "SET g = :g, h = :h ADD n :by",
        "ExpressionAttributeValues": {":g": {"S": "q"}, ":h": {"S": "0"}, ":by": {"N": "1"}},
    },
]
OLD = {"ReturnValuesOnConditionCheckFailure": "ALL_OLD"}


def some_put(chance: random.Random) -> Step:
    return "PutItem", {"TableName": "t", "Item": some_item(chance), **chance.choice(CONDITIONS), **OLD}


def some_delete(chance: random.Random) -> Step:
    condition = chance.choice(CONDITIONS)
    return "DeleteItem", {"TableName": "t", "Key": some_key(chance), **condition, "ReturnValues": "ALL_OLD"}


def some_update(chance: random.Random) -> Step:
    shown = chance.choice(["NONE", "ALL_OLD", "ALL_NEW"])  # of a new item, moto gives more as UPDATED_NEW
    return "UpdateItem", {"TableName": "t", "Key": some_key(chance), **chance.choice(UPDATES), "ReturnValues": shown}


def some_get(chance: random.Random) -> Step:
    return "GetItem", {"TableName": "t", "Key": some_key(chance), "ConsistentRead": True}


def some_batch_get(chance: random.Random) -> Step:
    keys = [key(pk, sk) for pk in "ab" for sk in ("s1", "t") if chance.random() < 0.7] or [key("a", "s1")]
    return "BatchGetItem", {"RequestItems": {"t": {"Keys": keys, "ConsistentRead": True}}}


def some_batch_write(chance: random.Random) -> Step:
    put_, gone = some_item(chance), some_key(chance)
    requests: list[Any] = [{"PutRequest": {"Item": put_}}]
    if {name: put_[name] for name in ("pk", "sk")} != gone:
        requests.append({"DeleteRequest": {"Key": gone}})
    return "BatchWriteItem", {"RequestItems": {"t": requests}}


RANGES: list[tuple[str, dict[str, Any]]] = [
    ("", {}),
    (" AND sk > :s", {":s": {"S": "s1"}}),
    (" AND sk <= :s", {":s": {"S": "s2"}}),
    (" AND sk BETWEEN :s AND :e", {":s": {"S": "s2"}, ":e": {"S": "t"}}),
    (" AND begins_with(sk, :s)", {":s": {"S": "s"}}),
]


def some_query(chance: random.Random) -> Step:
    more, values = chance.choice(RANGES)
    asked: dict[str, Any] = {
        "TableName": "t",
        "KeyConditionExpression": "pk = :pk" + more,
        "ExpressionAttributeValues": {":pk": {"S": chance.choice("ab")}, **values},
        "ScanIndexForward": chance.random() < 0.5,
        "ConsistentRead": True,
    }
    if chance.random() < 0.3:
        asked["FilterExpression"] = "n >= :n"
        asked["ExpressionAttributeValues"][":n"] = {"N": "2"}
    return "Query", asked


def some_index_query(chance: random.Random) -> Step:
    return "Query", {
        "TableName": "t",
        "IndexName": "index",
        "KeyConditionExpression": "#g = :g AND h > :h",
        "ExpressionAttributeNames": {"#g": "g"},
        "ExpressionAttributeValues": {":g": {"S": chance.choice("pq")}, ":h": {"S": "3"}},
        "ScanIndexForward": chance.random() < 0.5,
    }


def some_transaction(chance: random.Random) -> Step:
    kinds = {"PutItem": "Put", "DeleteItem": "Delete", "UpdateItem": "Update"}
    parts = []
    for _ in range(chance.randrange(1, 4)):
        operation, request = chance.choice([some_put, some_delete, some_update])(chance)
        request = {name: value for name, value in request.items() if name != "ReturnValues"}
        parts.append({kinds[operation]: {**request, **OLD}})
    if chance.random() < 0.3:
        parts.append({"ConditionCheck": {"TableName": "t", "Key": some_key(chance), **CONDITIONS[3]}})
    return "TransactWriteItems", {"TransactItems": parts}


KINDS: list[Callable[[random.Random], Step]] = [
    *(some_put, some_put, some_delete, some_update, some_get, some_batch_get, some_batch_write),
    *(some_query, some_index_query, some_transaction),
]


def answers(steps: Iterator[Step]) -> list[Any]:
    """What each request is answered, as far as both DynamoDBs say it."""
    return [answer(*step) for step in steps]


def answer(operation: str, request: dict[str, Any]) -> Any:
    try:
        told = client()._make_api_call(operation, request)
    except ClientError as error:
        reasons = error.response.get("CancellationReasons", [])
        code = error.response["Error"]["Code"]
        return code, error.response.get("Item"), [(reason["Code"], reason.get("Item")) for reason in reasons]
    told.pop("ResponseMetadata")
    told.pop("ConsumedCapacity", None)
    told.pop("ItemCollectionMetrics", None)  # nobody asked for them; moto tells all the same
    if "Responses" in told:
        told["Responses"]["t"].sort(key=lambda item: (item["pk"]["S"], item["sk"]["S"]))
    return told


def everything() -> list[Any]:
    items = client().scan(TableName="t")["Items"]
    return sorted(items, key=lambda item: (item["pk"]["S"], item["sk"]["S"]))


@pytest.mark.parametrize("seed", range(3))
def test_a_script_of_requests_is_answered_as_moto_answers_it(seed: int) -> None:
    steps = list(script(random.Random(seed)))
    with mock_aws():
        defined = {name: TABLE[name] for name in ("AttributeDefinitions", "KeySchema", "GlobalSecondaryIndexes")}
        client().create_table(TableName="t", BillingMode="PAY_PER_REQUEST", **defined)
        expected, left = answers(iter(steps)), everything()
    with InMemoryDynamoDB({"t": TABLE}).installed():
        given, there = answers(iter(steps)), everything()
    for step, ours, motos in zip(steps, given, expected, strict=True):
        assert ours == motos, step
    assert there == left


# ---- what is refused


def refused(operation: str, **request: Any) -> str:
    with pytest.raises(ClientError) as caught:
        client()._make_api_call(operation, request)
    return str(caught.value.response["Error"]["Code"])


@pytest.mark.parametrize(
    "item",
    [
        {"pk": {"S": ""}, "sk": {"S": "s"}},
        {"pk": {"S": "p"}},
        {"pk": {"N": "1"}, "sk": {"S": "s"}},
        {"pk": {"S": "p" * 2049}, "sk": {"S": "s"}},
        {"pk": {"S": "p"}, "sk": {"S": "s" * 1025}},
        {**key("p", "s"), "g": {"S": ""}},
        {**key("p", "s"), "g": {"N": "1"}},
        {**key("p", "s"), "text": {"S": "x" * 400 * 1024}},
    ],
)
def test_an_item_that_dynamodb_does_not_take_is_refused(db: InMemoryDynamoDB, item: dict[str, Any]) -> None:
    assert refused("PutItem", TableName="t", Item=item) == "ValidationException"
    assert db.items("t") == []


@pytest.mark.parametrize(
    "request_",
    [
        {"ConditionExpression": "n = :missing"},
        {"ConditionExpression": "#missing = :n", "ExpressionAttributeValues": {":n": {"N": "1"}}},
        {"ConditionExpression": "attribute_exists(pk)", "ExpressionAttributeNames": {"#unused": "n"}},
        {"ConditionExpression": "owner = :n AND status = :n", "ExpressionAttributeValues": {":n": {"N": "1"}}},
        {"ConditionExpression": "n = = :n", "ExpressionAttributeValues": {":n": {"N": "1"}}},
    ],
)
def test_an_expression_that_dynamodb_does_not_take_is_refused(db: InMemoryDynamoDB, request_: dict[str, Any]) -> None:
    assert refused("PutItem", **put("p", "s"), **request_) == "ValidationException"
    assert db.items("t") == []


def test_a_transaction_takes_each_item_once_and_a_hundred_at_most(db: InMemoryDynamoDB) -> None:
    twice = [{"Put": put("p", "s")}, {"Delete": {"TableName": "t", "Key": key("p", "s")}}]
    assert refused("TransactWriteItems", TransactItems=twice) == "ValidationException"
    many = [{"Put": put("p", f"{n}")} for n in range(101)]
    assert refused("TransactWriteItems", TransactItems=many) == "ValidationException"
    client().transact_write_items(TransactItems=many[:100])
    assert len(db.items("t")) == 100


def test_a_transaction_sent_again_with_its_token_writes_nothing_more(db: InMemoryDynamoDB) -> None:
    add = {"TableName": "t", "Key": key("p", "s"), **UPDATES[0]}
    for _ in range(2):
        client().transact_write_items(TransactItems=[{"Update": add}], ClientRequestToken="token")
    assert [item["n"] for item in db.items("t")] == [{"N": "-2"}]
    other = [{"Put": put("p", "s")}]
    code = refused("TransactWriteItems", TransactItems=other, ClientRequestToken="token")
    assert code == "IdempotentParameterMismatchException"


def test_an_operation_that_is_not_played_fails(db: InMemoryDynamoDB) -> None:
    del db
    with pytest.raises(KeyError):
        client().describe_table(TableName="t")


# ---- pages and segments


def test_pages_give_everything_once_and_in_order(db: InMemoryDynamoDB) -> None:
    db.fill("t", [{**key("p", f"{n:03d}"), "g": {"S": "q"}, "h": {"S": f"{n % 7}"}} for n in range(50)])
    db.read_pages_of(100)
    everything_ = [item["sk"]["S"] for item in db.items("t")]
    by_table = {"KeyConditionExpression": "pk = :p", "ExpressionAttributeValues": {":p": {"S": "p"}}}
    by_index = {
        "IndexName": "index",
        "KeyConditionExpression": "g = :q",
        "ExpressionAttributeValues": {":q": {"S": "q"}},
    }
    for forward in (True, False):
        found = pages("Query", **by_table, ScanIndexForward=forward)
        assert [item["sk"]["S"] for item in found] == sorted(everything_, reverse=not forward)
        found = pages("Query", **by_index, ScanIndexForward=forward, Limit=3)
        assert [(item["h"]["S"], item["sk"]["S"]) for item in found] == sorted(
            ((f"{n % 7}", f"{n:03d}") for n in range(50)), reverse=not forward
        )


def test_segments_of_a_scan_share_nothing_and_leave_nothing_out(db: InMemoryDynamoDB) -> None:
    db.fill("t", [key(f"p{n % 20}", f"{n}") for n in range(100)])
    db.read_pages_of(60)
    segments = [pages("Scan", Segment=segment, TotalSegments=4) for segment in range(4)]
    partitions = [{item["pk"]["S"] for item in segment} for segment in segments]
    assert sum(map(len, segments)) == 100
    assert sum(map(len, partitions)) == len(set.union(*partitions)) == 20


def test_a_scan_goes_on_behind_an_item_that_is_gone(db: InMemoryDynamoDB) -> None:
    db.fill("t", [key("p", f"{n}") for n in range(4)])
    page = client().scan(TableName="t", Limit=2)
    client().delete_item(TableName="t", Key=page["LastEvaluatedKey"])
    rest = client().scan(TableName="t", ExclusiveStartKey=page["LastEvaluatedKey"])
    assert [item["sk"]["S"] for item in rest["Items"]] == ["2", "3"]


def pages(operation: str, **request: Any) -> list[dict[str, Any]]:
    request["TableName"] = "t"
    found: list[dict[str, Any]] = []
    while True:
        page = client()._make_api_call(operation, request)
        found += page["Items"]
        if "LastEvaluatedKey" not in page:
            return found
        request["ExclusiveStartKey"] = page["LastEvaluatedKey"]


# ---- what it costs


@pytest.mark.parametrize(
    ("requests", "units"),
    [
        ([put("p", "s")], 1),
        ([put("p", "s", text={"S": "x" * 1100})], 2),
        ([put("p", "s", g={"S": "q"}, h={"S": "1"})], 2),
        ([put("p", "s", g={"S": "q"}, h={"S": "1"}), put("p", "s", g={"S": "q"}, h={"S": "2"})], 2 + 3),
        ([put("p", "s", g={"S": "q"}, h={"S": "1"}), put("p", "s", g={"S": "q"}, h={"S": "1"}, n={"N": "1"})], 4),
        ([put("p", "s", g={"S": "q"}, h={"S": "1"}), put("p", "s")], 2 + 2),
        ([put("p", "s", text={"S": "x" * 3000}), put("p", "s")], 3 + 3),
    ],
)
def test_a_put_costs_its_larger_item_and_each_index_entry_it_moves(
    db: InMemoryDynamoDB, requests: list[dict[str, Any]], units: int
) -> None:
    answers_ = [client().put_item(**request, ReturnConsumedCapacity="TOTAL") for request in requests]
    assert db.used.write_units == {"t": units}
    assert sum(answer_["ConsumedCapacity"]["CapacityUnits"] for answer_ in answers_) == units


def test_a_transaction_costs_twice_and_a_refused_write_what_stands_there(db: InMemoryDynamoDB) -> None:
    client().transact_write_items(TransactItems=[{"Put": put("p", "s")}, {"Put": put("p", "t")}])
    assert db.used.write_units == {"t": 4}
    new = {"ConditionExpression": "attribute_not_exists(pk)"}
    assert refused("PutItem", **put("p", "s"), **new) == "ConditionalCheckFailedException"
    assert db.used.write_units == {"t": 5}
    refused("TransactWriteItems", TransactItems=[{"Put": {**put("p", "s"), **new}}])
    assert db.used.write_units == {"t": 7}


def test_reads_cost_by_four_kilobytes_and_half_when_they_may_be_behind(db: InMemoryDynamoDB) -> None:
    db.fill("t", [put("p", f"{n}", text={"S": "x" * 1000})["Item"] for n in range(10)])
    asked = {"KeyConditionExpression": "pk = :p", "ExpressionAttributeValues": {":p": {"S": "p"}}, "TableName": "t"}
    for request, units in (({}, 1.5), ({"ConsistentRead": True}, 3), ({"Limit": 1}, 0.5)):
        with db.metered() as used:
            client().query(**asked, **request)
        assert used.read_units == {"t": units}
    keys = {"Keys": [key("p", "0"), key("p", "1"), key("p", "none")], "ConsistentRead": True}
    with db.metered() as used:
        client().batch_get_item(RequestItems={"t": keys})
    assert used.read_units == {"t": 3}
    assert used.calls == {"BatchGetItem": 1}


# ---- what its stream tells


def test_the_stream_tells_what_changed_and_what_expired(db: InMemoryDynamoDB) -> None:
    for n in ("1", "1", "2"):
        client().put_item(**put("p", "s", n={"N": n}, ttl={"N": "100"}))
    client().put_item(**put("p", "t"))
    client().delete_item(TableName="t", Key=key("p", "t"))
    assert db.expire("t", 100) == 0
    assert db.expire("t", 101) == 1
    told = [(change.name, change.keys["sk"]["S"], change.expired) for change in db.changes("t")]
    assert told == [
        *[("INSERT", "s", False), ("MODIFY", "s", False), ("INSERT", "t", False), ("REMOVE", "t", False)],
        ("REMOVE", "s", True),
    ]
    assert db.items("t") == []


# ---- faults


@pytest.mark.parametrize(
    ("fault", "error", "written"),
    [
        (Fault.THROTTLED, "ProvisionedThroughputExceededException", False),
        (Fault.CONFLICT, "TransactionConflictException", False),
        (Fault.UNSENT, ConnectionClosedError, False),
        (Fault.LOST_ANSWER, ConnectionClosedError, True),
        (Fault.CRASH_BEFORE, CrashError, False),
        (Fault.CRASH_AFTER, CrashError, True),
    ],
)
def test_a_fault_happens_to_the_request_it_is_planned_for(
    db: InMemoryDynamoDB, fault: Fault, error: type[BaseException] | str, *, written: bool
) -> None:
    db.faults = at_request(1, fault)
    client().put_item(**put("p", "first"))
    with pytest.raises(ClientError if isinstance(error, str) else error) as caught:
        client().put_item(**put("p", "second"))
    if isinstance(caught.value, ClientError):
        assert caught.value.response["Error"]["Code"] == error
    assert len(db.items("t")) == 1 + written
    client().put_item(**put("p", "third"))


def test_a_transaction_meets_a_conflict_as_a_reason(db: InMemoryDynamoDB) -> None:
    for fault, code in ((Fault.CONFLICT, "TransactionConflict"), (Fault.THROTTLED, "ThrottlingError")):
        db.faults = iter([fault])
        with pytest.raises(client().exceptions.TransactionCanceledException) as caught:
            client().transact_write_items(TransactItems=[{"Put": put("p", "s")}, {"Put": put("p", "t")}])
        assert [reason["Code"] for reason in caught.value.response["CancellationReasons"]] == [code, "None"]
    assert db.items("t") == []


def test_a_batch_may_be_done_in_part(db: InMemoryDynamoDB) -> None:
    db.faults = iter([Fault.PARTIAL])
    puts = [{"PutRequest": {"Item": key("p", f"{n}")}} for n in range(4)]
    assert client().batch_write_item(RequestItems={"t": puts})["UnprocessedItems"] == {"t": puts[2:]}
    db.faults = iter([Fault.PARTIAL])
    answer_ = client().batch_get_item(RequestItems={"t": {"Keys": [key("p", "0"), key("p", "1")]}})
    assert answer_["Responses"] == {"t": [key("p", "0")]}
    assert answer_["UnprocessedKeys"] == {"t": {"Keys": [key("p", "1")]}}


def test_a_client_sends_again_what_may_pass() -> None:
    """So that a write whose answer was lost meets itself, as it does with botocore's own retries."""
    new = {"ConditionExpression": "attribute_not_exists(pk)", **OLD}
    with InMemoryDynamoDB({"t": TABLE}, attempts=3).installed() as db:
        db.faults = iter([Fault.THROTTLED, Fault.LOST_ANSWER, None])
        with pytest.raises(ClientError) as caught:
            client().put_item(**put("p", "s"), **new)
        assert caught.value.response["Item"] == key("p", "s")  # type: ignore[typeddict-item]
        assert db.used.calls == {"PutItem": 3}
        db.faults = iter([Fault.LOST_ANSWER])
        client().transact_write_items(TransactItems=[{"Put": {**put("p", "t"), **new}}])
        assert len(db.items("t")) == 2


def test_pynamodb_talks_to_it_and_sees_its_faults() -> None:
    with InMemoryDynamoDB(deployed.tables()).installed() as db, generations.chosen({"task": 1}):
        row = Row("task#1", "task", version=1, data="{}", detail=b"bytes")
        row.save()
        assert Row.get("task#1", "task").detail == b"bytes"
        CounterRow("counter#tasks", "c").update(actions=[CounterRow.n.add(3)])
        assert [counter.n for counter in counters.counters("counter#tasks", "a", "z")] == [3]
        db.faults = iter([Fault.CONFLICT])
        with pytest.raises(PutError):
            row.save()
        assert db.used.calls == {"PutItem": 2, "GetItem": 1, "UpdateItem": 1, "Query": 1}


# ---- several at once


@pytest.mark.parametrize("seed", range(20))
def test_interleaved_actors_see_each_other_between_requests_only(db: InMemoryDynamoDB, seed: int) -> None:
    """Each adds by reading and writing on condition; whoever was overtaken tries again."""

    def add(value: str = "n") -> int:
        for attempt in range(1, 100):
            old = client().get_item(TableName="t", Key=key("p", "s"))["Item"][value]["N"]
            new = {":old": {"N": old}, ":new": {"N": str(int(old) + 1)}}
            try:
                client().update_item(
                    TableName="t",
                    Key=key("p", "s"),
                    UpdateExpression="SET n = :new",
                    ConditionExpression="n = :old",
                    ExpressionAttributeValues=new,
                )
            except client().exceptions.ConditionalCheckFailedException:
                continue
            return attempt
        raise AssertionError("overtaken all the time")

    db.fill("t", [put("p", "s", n={"N": "0"})["Item"]])
    outcomes = interleaved(db, [add] * 5, turns_of(random.Random(seed)))
    assert [outcome.error for outcome in outcomes] == [None] * 5
    assert sum(outcome.result for outcome in outcomes) > 5  # some were overtaken
    assert db.items("t")[0]["n"] == {"N": "5"}


def test_the_same_turns_give_the_same_outcome_and_a_crash_ends_one_actor_only() -> None:
    def write(name: str) -> None:
        for n in range(5):
            client().put_item(**put("p", f"{n}", by={"S": name}))

    def run() -> list[Any]:
        with InMemoryDynamoDB({"t": TABLE}).installed() as db:
            db.faults = at_request(7, Fault.CRASH_BEFORE)
            outcomes = interleaved(db, [lambda: write("a"), lambda: write("b")], turns_of(random.Random(3)))
            assert sorted(type(outcome.error).__name__ for outcome in outcomes) == ["CrashError", "NoneType"]
            return db.items("t")

    assert run() == run()


# ---- fast enough to be tried thousands of times


def test_ten_thousand_calls_take_well_under_two_seconds(db: InMemoryDynamoDB) -> None:
    one = client()
    request = put("p", "s", text={"S": "x" * 300})
    began = time.process_time()
    for n in range(5000):
        request["Item"] = {**request["Item"], "sk": {"S": f"{n % 100}"}}
        one.put_item(**request)
        one.get_item(TableName="t", Key=key("p", f"{n % 100}"))
    assert time.process_time() - began < 2
    assert db.used.calls.total() == 10_000
