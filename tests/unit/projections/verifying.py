"""A ledger in memory that is projected, damaged by hand, verified and repaired."""

from datetime import timedelta
from typing import Any

from infra.commits import from_item
from infra.replay import WHOLE, Segment
from projections.differences import Report
from projections.repair import Repair
from projections.verification import Ledger as Verified
from projections.verification import Verification
from tests.in_memory.dynamodb import InMemoryDynamoDB, client
from tests.in_memory.expressions import Item
from tests.unit.projections.ledger import Ledger

LATER = timedelta(hours=1)
"""By then everything should be shown."""


def project(ledger: Ledger) -> None:
    """Everything that is in the ledger."""
    ledger.projector().project([from_item(item) for item in ledger.db.items("events")])


def verified(ledger: Ledger, after: timedelta = LATER, only: tuple[str, ...] = ()) -> Verified:
    projections = [one for name, one in ledger.projector().projections.items() if name in only or not only]

    def clock() -> float:
        return (ledger.now + after).timestamp()

    return Verified.of(ledger.store, client(), "events", projections, all_categories=not only, clock=clock)


def verify(ledger: Ledger, segment: Segment = WHOLE, after: timedelta = LATER, only: tuple[str, ...] = ()) -> Report:
    return Verification(verified(ledger, after, only), segment=segment).run()


def repair(ledger: Ledger, report: Report) -> None:
    Repair(verified(ledger)).run(report)


def kinds(report: Report) -> list[tuple[str, str]]:
    """What was found, and where."""
    return sorted((one.kind, one.where) for one in report.differences)


def change(table: str, item: Item, **attributes: Any) -> None:
    """Put an item again with other attributes; those that are None are taken off."""
    changed = {**item, **attributes}
    client().put_item(TableName=table, Item={name: value for name, value in changed.items() if value is not None})


def delete(table: str, item: Item) -> None:
    client().delete_item(TableName=table, Key={"pk": item["pk"], "sk": item["sk"]})


def rows(db: InMemoryDynamoDB, pk: str = "", sk: str = "") -> list[Item]:
    """Items of the views table whose keys begin so, without the generation."""
    return [
        item
        for item in db.items("views")
        if "|" in item["pk"]["S"]
        and item["pk"]["S"].partition("|")[2].startswith(pk)
        and item["sk"]["S"].startswith(sk)
    ]
