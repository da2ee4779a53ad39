"""What says that a day has events is put once by a process, and is there in every generation that is read."""

from collections.abc import Callable, Iterable

import pytest

from infra import changes, generations
from infra.changes import Unit
from infra.generations import Generations, Phase
from infra.views import EVENT_DAYS
from projections.projector import Projector, hints_of
from tests.in_memory.dynamodb import InMemoryDynamoDB, client
from tests.in_memory.event_source import event
from tests.unit.projections.ledger import Ledger, rows_of

BUILDING = Generations(other={"event": 2}, phase=Phase.BOTH)


@pytest.fixture
def put(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, str]]:
    """The rows that were put beside those of the events: their generation and sort key."""
    seen: list[tuple[int, str]] = []
    apply = changes.apply

    def noted(units: Iterable[Unit], still_valid: Callable[[], bool]) -> None:
        units = list(units)
        apply(units, still_valid)
        for change in (change for unit in units for change in unit):
            seen.extend((change.generation, row.sk) for row in change.added if row.pk == EVENT_DAYS)

    monkeypatch.setattr(changes, "apply", noted)
    return seen


@pytest.fixture
def batch(ledger: Ledger, db: InMemoryDynamoDB) -> Callable[[Projector], None]:
    """Has a projector show 60 new events of one day."""
    ledger.now = ledger.now.replace(hour=0)

    def deliver(projector: Projector) -> None:
        there = len(db.changes("events"))
        for _ in range(60):
            ledger.record_event()
        projector.project(hints_of(event(db.changes("events")[there:])))

    return deliver


def days(db: InMemoryDynamoDB, generation: int = 1) -> set[str]:
    return {sk for pk, sk in rows_of(db) if pk == f"{generation}|{EVENT_DAYS}"}


def test_a_process_puts_it_once(
    ledger: Ledger, db: InMemoryDynamoDB, put: list[tuple[int, str]], batch: Callable[[Projector], None]
) -> None:
    projector = ledger.projector()
    batch(projector)
    first = days(db)
    assert {sk for _, sk in put} == first
    put.clear()

    batch(projector)

    assert {sk for _, sk in put} == days(db) - first


def test_another_process_puts_it_again(
    ledger: Ledger, db: InMemoryDynamoDB, put: list[tuple[int, str]], batch: Callable[[Projector], None]
) -> None:
    batch(ledger.projector())
    put.clear()

    batch(ledger.projector())

    assert {sk for _, sk in put} <= days(db)
    assert put


def test_it_is_put_anew_in_a_generation_that_was_given_up_and_begun_again(
    ledger: Ledger, db: InMemoryDynamoDB, batch: Callable[[Projector], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(generations, "GENERATIONS_CACHE_SECONDS", -1)
    projector = ledger.projector()
    generations.move(lambda _: BUILDING)
    batch(projector)
    assert days(db, 2) == days(db)
    generations.move(lambda _: Generations())
    for pk, sk in [(pk, sk) for pk, sk in rows_of(db) if pk.startswith("2|")]:
        client().delete_item(TableName="views", Key={"pk": {"S": pk}, "sk": {"S": sk}})

    generations.move(lambda _: BUILDING)
    batch(projector)

    events = {pk.removeprefix("2|event#") for pk, _ in rows_of(db) if pk.startswith("2|event#")}
    assert {sk.rpartition("#")[0] for sk in days(db, 2)} == events
