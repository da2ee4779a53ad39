"""Every row belongs to the projection that writes it, in a generation of that projection."""

from collections.abc import Callable, Iterable, Iterator
from types import SimpleNamespace

import pytest

from domain.tasks import Status
from infra import changes, generations, views
from infra.changes import Change, Unit
from infra.generations import OWNERS, Generations, Phase, prefixed, projection_of
from infra.settings import GENERATIONS_CACHE_SECONDS
from infra.views import Key, Row
from projections.projector import hints_of
from tests.in_memory.dynamodb import InMemoryDynamoDB
from tests.in_memory.event_source import event
from tests.unit.projections.ledger import Ledger

STATE_PARTITIONS = {"projections", "rebuild", "heartbeats"}
INDEXES = ("gsi1pk", "gsi2pk")


def partitions(change: Change) -> Iterator[str]:
    """Every partition, of the table and of its indexes, that a change touches."""
    for row in (change.row, *change.added):
        yield from (name for name in (row.pk, row.gsi1pk, row.gsi2pk) if name)
    for key in (*change.removed, *change.moves, *(key for key, _ in change.raised)):
        yield key.pk


def word(pk: str) -> str:
    """What `OWNERS` knows a partition by."""
    parts = pk.split("#")
    return "#".join(parts[:2] if parts[0] == "counter" else parts[:1])


def test_every_key_that_a_projection_writes_is_its_own(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[Change] = []
    apply = changes.apply

    def noted(units: Iterable[Unit], still_valid: Callable[[], bool]) -> None:
        units = list(units)
        written.extend(change for unit in units for change in unit)
        apply(units, still_valid)

    monkeypatch.setattr(changes, "apply", noted)
    ledger.work(600)
    ledger.create_task()
    ledger.tasks = ledger.tasks[-1:]
    ledger.move_task(Status.IN_PROGRESS)
    ledger.move_task(Status.CLOSED)
    for commit in hints_of(event(ledger.db.changes("events"))):  # one by one, so that pointers are put and removed
        ledger.projector().project([commit])

    by_projection = {(pk, change.stream.partition("#")[0]) for change in written for pk in partitions(change)}
    assert {(pk, owner) for pk, owner in by_projection if projection_of(pk) != owner} == set()
    assert {word(pk) for pk, _ in by_projection} == set(OWNERS)  # no owner of a partition that nobody writes


def test_every_partition_that_is_stored_begins_with_a_generation_of_its_owner(
    ledger: Ledger, db: InMemoryDynamoDB
) -> None:
    """Each projection in a generation of its own, so that one in another's would be seen."""
    live = {name: number for number, name in enumerate(sorted(set(OWNERS.values())), start=11)}
    generations.move(lambda _: Generations(live=live))
    ledger.work(600)

    ledger.projector().project(hints_of(event(db.changes("events"))))

    stored = [item[name]["S"] for item in db.items("views") for name in ("pk", *INDEXES) if name in item]
    found = {pk for pk in stored if pk not in STATE_PARTITIONS}
    assert len(found) > 100
    assert {pk for pk in found if pk.partition("|")[0] != str(live[projection_of(pk.partition("|")[2])])} == set()


@pytest.mark.parametrize("pk", ["nobody#1", "counter#nobody", "counter", "", "1|task#1"])
def test_a_partition_that_no_projection_owns_has_no_generation(db: InMemoryDynamoDB, pk: str) -> None:  # noqa: ARG001
    with pytest.raises(KeyError):
        prefixed(pk)


def test_a_partition_may_be_named_like_anything_and_keeps_its_name(db: InMemoryDynamoDB) -> None:
    """Text of users may stand in it."""
    key = Key("creator#a|b|", "created#1")
    Row(*key, version=1, data="").save()

    assert views.rows_by_key([key])[key].key == key
    assert [item["pk"]["S"] for item in db.items("views")] == ["1|creator#a|b|"]


# ---- the pointer


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    clock = SimpleNamespace(now=100.0)
    monkeypatch.setattr(generations, "time", SimpleNamespace(monotonic=lambda: clock.now))
    return clock


def test_the_pointer_is_read_once_and_again_when_it_is_old(db: InMemoryDynamoDB, clock: SimpleNamespace) -> None:
    for _ in range(3):
        views.rows_by_key([Key("task#1", "task"), Key("user#1", "user")])
    assert db.used.calls["GetItem"] == 1

    clock.now += GENERATIONS_CACHE_SECONDS
    assert prefixed("task#1") == "1|task#1"
    assert db.used.calls["GetItem"] == 1

    generations.move(lambda _: Generations(live={"task": 2}))
    seen = db.used.calls["GetItem"]
    assert prefixed("task#1") == "2|task#1"
    assert prefixed("user#1") == "1|user#1"
    assert db.used.calls["GetItem"] == seen + 1

    clock.now += GENERATIONS_CACHE_SECONDS + 0.1
    assert prefixed("task#1") == "2|task#1"
    assert db.used.calls["GetItem"] == seen + 2


def test_the_bearings_are_the_pointer_too(db: InMemoryDynamoDB, clock: SimpleNamespace) -> None:  # noqa: ARG001
    """What the projector asked for at the beginning of a batch need not be asked for again."""
    moved = generations.move(lambda _: Generations(other={"task": 2}, phase=Phase.BULK))

    assert generations.bearings().generations == moved
    calls = db.used.calls.copy()
    assert generations.present() == moved
    assert db.used.calls == calls


def test_a_pointer_that_moves_between_two_transactions_holds_up_the_second(
    ledger: Ledger, db: InMemoryDynamoDB, clock: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The batch goes on from there, as the pointer then says: in both generations."""
    monkeypatch.setattr(changes, "MAX_TRANSACTION_ITEMS", 8)
    for _ in range(6):
        ledger.create_task(by="ann", assigned_user_id="bob", due_date=None)
    hints = hints_of(event(db.changes("events")))
    transactions = 0

    def move(operation: str) -> None:
        nonlocal transactions
        transactions += operation == "TransactWriteItems"
        if operation == "TransactWriteItems" and transactions == 1:
            generations.move(lambda _: Generations(other={"task": 2}, phase=Phase.BOTH))
            clock.now += GENERATIONS_CACHE_SECONDS + 1

    db.before_request = move
    ledger.projector().project(hints)

    rows = [item["pk"]["S"].partition("|")[0] for item in db.items("views") if item["sk"]["S"] == "task"]
    assert (rows.count("1"), rows.count("2")) == (6, 6)
