"""A partition that is read page by page while a rebuild swaps the generations."""

from collections.abc import Iterator
from typing import Any

import pytest

from infra import generations
from infra.generations import Generations
from infra.views import Row
from queries.search import rows_between
from tests.in_memory import deployed
from tests.in_memory.dynamodb import InMemoryDynamoDB

TASKS, PERSON = "tasks#open#high", "assignee#ann#open"
NUMBERS = [f"{number:02d}" for number in range(20)]


@pytest.fixture
def db(monkeypatch: pytest.MonkeyPatch) -> Iterator[InMemoryDynamoDB]:
    """The same tasks in two generations."""
    monkeypatch.setattr(generations, "present", lambda: generations.read()[0])
    with InMemoryDynamoDB(deployed.tables()).installed() as db:
        for generation in (1, 2):
            with generations.chosen({"task": generation}):
                for number in NUMBERS:
                    places: Any = {"gsi1pk": TASKS, "gsi1sk": number, "gsi2pk": PERSON, "gsi2sk": number}
                    Row("due#open", number, version=generation, data="", **places).save()
        yield db


@pytest.mark.parametrize(
    ("query", "sort_key", "pk"),
    [
        (Row.query, Row.sk, "due#open"),
        (Row.by_status.query, Row.gsi1sk, TASKS),
        (Row.by_person.query, Row.gsi2sk, PERSON),
    ],
)
@pytest.mark.parametrize("read", [1, 2, 3, 11])
def test_a_swap_between_two_pages_breaks_no_list(
    db: InMemoryDynamoDB, query: Any, sort_key: Any, pk: str, read: int
) -> None:
    rows = rows_between(query, sort_key, pk, "03", "18", ascending=True, first=2)
    found = [next(rows) for _ in range(read)]

    generations.move(lambda _: Generations(live={"task": 2}))
    with db.metered() as used:
        found += rows

    assert [row.sk for row in found] == NUMBERS[3:19]
    assert {row.version for row in found} == {1}  # a list is of one generation
    assert used.calls["Query"] <= 3  # pages grow: 2, 4, 8, 16
    assert {row.version for row in rows_between(query, sort_key, pk, None, None, ascending=True, first=9)} == {2}
