"""What an alert's row, its pointer and its counters show, however its events are cut into batches."""

import json
import random
import uuid
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.alerts import (
    AlertAcknowledged,
    AlertNoticed,
    AlertOpened,
    AlertRecurred,
    AlertReopened,
    AlertResolved,
    AlertSeverityChanged,
    AlertSnoozed,
    AlertTaskLinked,
    Ending,
    Face,
    Seen,
    alert_id,
)
from domain.commit import Recorded
from domain.event import DomainEvent
from domain.judgement import Verdict
from domain.monitoring_events import event_id
from domain.report_days import day_part
from domain.sources.envelope import parse
from domain.sources.registry import map_envelope
from infra import generations
from infra.alert_keys import SHARDS, pointer
from infra.alert_rows import AlertRow, DayCounts, content_of
from infra.generations import Generations, Phase
from infra.views import Key, Row
from projections.alerts import DAYS_KEPT, LAST_EVENTS, PARTS_OCCURRED, AlertProjection
from projections.projection import Folded
from projections.projector import hints_of
from tests.in_memory import sizes
from tests.in_memory.dynamodb import InMemoryDynamoDB
from tests.in_memory.event_source import EventSource, event
from tests.unit.projections.ledger import Ledger, differences, fresh_fold, parked, rows_of

AT = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
DAY = timedelta(days=1)
ID = "a1"
STREAM = f"alert#{ID}"
FINGERPRINT = "alarm:arn:aws:cloudwatch:eu-central-1:123456789012:alarm:cpu"
FACE = Face(source="aws.cloudwatch", detail_type="CloudWatch Alarm State Change", account="123456789012", title="CPU")
ALERTS = AlertProjection()
FIXTURES = sorted((Path(__file__).parents[2] / "fixtures" / "aws").glob("*.json"))


def seen(*ids: str, count: int = 1, order: int = 1) -> Seen:
    return Seen(ids=ids or ("1772366400-u",), count=count, first=1772366400, last=1772366400, order=order, rank=3)


def opened(severity: int = 3, **more: str) -> AlertOpened:
    return AlertOpened(
        fingerprint=FINGERPRINT, seen=seen(), face=FACE.model_copy(update=more), severity=severity, config=1
    )


REOPENED = AlertReopened(seen=seen(), face=FACE, severity=3, config=1)
RESOLVED = AlertResolved(ending=Ending.SOURCE, seen=seen(count=0))
RECURRED = AlertRecurred(seen=seen())


class Step(NamedTuple):
    event: DomainEvent
    after: timedelta = timedelta(seconds=1)


def recorded(*steps: Step | DomainEvent) -> list[Recorded]:
    found: list[Recorded] = []
    at = AT
    for version, step in enumerate(steps, start=1):
        known = step if isinstance(step, Step) else Step(step)
        at += known.after if found else timedelta()
        found.append(Recorded(known.event, version, at, "ann"))
    return found


def folded(*batches: Sequence[Recorded]) -> Folded:
    """The last of several steps."""
    row = None
    for batch in batches:
        last = ALERTS.fold(row, STREAM, batch)
        row = last.row
    return last


def shown(*steps: Step | DomainEvent) -> AlertRow:
    return content_of(folded(recorded(*steps)).row)


def counted(row: Row) -> dict[str, int]:
    """What a row adds to counters, by the ends of their keys."""
    return {key.sk: n for key, n in ALERTS.contributions(row).items()}


# ---- the pointer


def test_an_alert_that_has_not_opened_has_a_row_that_nothing_points_to_or_counts() -> None:
    noticed = AlertNoticed(fingerprint=FINGERPRINT, seen=seen(), face=FACE, waiting=((1, 1772366400),))

    last = folded(recorded(noticed, noticed))

    assert last.row.version == 2
    assert (last.added, last.removed) == ((), ())
    assert ALERTS.contributions(last.row) == {}


def places(last: Folded) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """The state and severity, and the time, of pointers that are put, and of those that are removed."""
    return [_place(row.key) for row in last.added], [_place(key) for key in last.removed]


def _place(key: Key) -> tuple[str, str]:
    assert key.pk.startswith("alerts#")
    assert key.sk.endswith(f"#{ID}")
    return key.pk.removeprefix("alerts#").rpartition("#")[0], key.sk[11:19]


def test_the_pointer_moves_with_state_and_severity() -> None:
    steps = recorded(
        opened(3), AlertSeverityChanged(old=3, new=5), RESOLVED, REOPENED, AlertSeverityChanged(old=3, new=1)
    )
    moved = [places(folded(steps[:n], [steps[n]])) for n in range(1, len(steps))]

    assert places(folded(steps[:1])) == ([("open#3", "12:00:00")], [])
    assert moved == [
        ([("open#5", "12:00:00")], [("open#3", "12:00:00")]),
        ([("resolved#5", "12:00:02")], [("open#5", "12:00:00")]),
        ([("open#3", "12:00:03")], [("resolved#5", "12:00:02")]),
        ([("open#1", "12:00:03")], [("open#3", "12:00:03")]),
    ]


@pytest.mark.parametrize("other", [RECURRED, AlertTaskLinked(task_id="t")])
def test_what_no_list_filters_by_moves_no_pointer(other: DomainEvent) -> None:
    first, second = recorded(opened(), other)
    assert places(folded([first], [second])) == ([], [])


def test_the_pointer_holds_what_lists_filter_by() -> None:
    until = AT + DAY
    steps = recorded(opened(), AlertAcknowledged(), AlertSnoozed(until=until), RESOLVED, REOPENED)
    known = [json.loads(folded(steps[:n], [steps[n]]).added[0].data) for n in range(1, len(steps))]

    assert json.loads(folded(steps[:1]).added[0].data) == {
        "source": "aws.cloudwatch",
        "account": "123456789012",
        "acknowledged": False,
        "snoozed_until": None,
    }
    assert [one["acknowledged"] for one in known] == [True, True, True, False]
    assert [one["snoozed_until"] for one in known] == [None, *[int(until.timestamp())] * 2, None]


def test_a_thousand_alerts_that_open_within_a_second_fall_evenly_on_the_parts() -> None:
    alert = shown(opened()).alert
    found = Counter(pointer(alert_id(str(n)), alert).pk for n in range(1000))  # type: ignore[union-attr]
    assert len(found) == SHARDS
    assert 2 * max(found.values()) < 1000  # write units a second that a partition takes


# ---- counters


def test_open_alerts_are_counted_by_severity_acknowledgement_and_source() -> None:
    steps: list[DomainEvent] = [opened(2, source="odd#source"), AlertAcknowledged()]
    steps += [AlertSeverityChanged(old=2, new=4), RESOLVED, REOPENED]
    rows = [folded(recorded(*steps[:n])).row for n in range(1, len(steps) + 1)]
    of_now = [[name for name in counted(row) if not name.startswith("2026-")] for row in rows]

    assert of_now == [
        ["2#new#odd#source"],
        ["2#acknowledged#odd#source"],
        ["4#acknowledged#odd#source"],
        [],
        ["3#new#aws.cloudwatch"],
    ]


def test_a_source_too_long_for_a_key_is_counted_by_its_beginning() -> None:
    row = folded(recorded(opened(source="s" * 3000))).row
    assert max(len(key.sk) for key in ALERTS.contributions(row)) < 1024


def test_what_happened_is_counted_in_its_part_of_the_day_with_the_time_it_took() -> None:
    row = folded(
        recorded(
            opened(),
            Step(AlertAcknowledged(), timedelta(seconds=90)),
            Step(RESOLVED, timedelta(seconds=30)),
            Step(REOPENED, DAY),
            Step(RESOLVED, timedelta(seconds=7)),
        )
    ).row

    assert counted(row) == {
        "2026-03-01T09#opened": 1,
        "2026-03-01T09#acknowledged": 1,
        "2026-03-01T09#acknowledge_seconds": 90,
        "2026-03-01T09#resolved": 1,
        "2026-03-01T09#resolve_seconds": 120,
        "2026-03-02T09#opened": 1,
        "2026-03-02T09#resolved": 1,
        "2026-03-02T09#resolve_seconds": 7,
    }


def test_a_day_has_two_parts_that_meet_at_nine() -> None:
    before_nine, at_nine = Step(RESOLVED, timedelta(hours=20, minutes=59)), Step(REOPENED, timedelta(minutes=1))
    row = folded(recorded(opened(), before_nine, at_nine)).row
    assert [name for name in counted(row) if name.endswith("d")] == [
        "2026-03-01T09#opened",
        "2026-03-02T00#resolved",
        "2026-03-02T09#opened",
    ]


def test_occurrences_are_told_of_the_newest_parts_and_move_no_counter() -> None:
    hours = [Step(RECURRED, timedelta(hours=h)) for h in (1, 12, 9, 15, 9)]
    rows = [folded(recorded(opened(), *hours[:n])).row for n in range(len(hours) + 1)]

    assert content_of(rows[1]).occurred == {"2026-03-01T09": 2}
    assert content_of(rows[-1]).occurred == dict.fromkeys(
        ("2026-03-02T00", "2026-03-02T09", "2026-03-03T00", "2026-03-03T09"), 1
    )
    assert all(counted(row) == counted(rows[0]) for row in rows)


def test_clocks_that_differ_make_no_time_negative() -> None:
    days = shown(opened(), Step(RESOLVED, timedelta(seconds=-3))).days
    assert days == {"2026-03-01T09": DayCounts(opened=1, resolved=1)}


def test_of_more_days_than_a_row_keeps_the_earliest_are_one_sum() -> None:
    cycle = [Step(RESOLVED, timedelta(hours=1)), Step(REOPENED, timedelta(hours=23))]
    content = shown(opened(), *cycle * (DAYS_KEPT + 4))

    first_kept = AT.date() + timedelta(days=5)
    assert list(content.days) == [f"{first_kept + timedelta(days=n)}T09" for n in range(DAYS_KEPT)]
    assert content.earlier == DayCounts(opened=5, resolved=5, resolve_seconds=5 * 3600)


LIFE = st.lists(
    st.builds(
        Step,
        st.sampled_from(
            [
                RECURRED,
                RESOLVED,
                REOPENED,
                AlertAcknowledged(),
                AlertSeverityChanged(old=3, new=4),
                AlertNoticed(fingerprint=FINGERPRINT, seen=seen(), face=FACE),
            ]
        ),
        st.timedeltas(timedelta(seconds=-60), timedelta(days=3)),
    ),
    max_size=90,
)


@given(life=LIFE, cuts=st.sets(st.integers(1, 90), max_size=20))
def test_however_its_events_are_cut_into_batches_the_row_is_the_same(life: list[Step], cuts: set[int]) -> None:
    events = recorded(opened(), *life)
    places = [0, *sorted(cut for cut in cuts if cut < len(events)), len(events)]
    at_once, in_parts = folded(events).row, folded(*(events[a:b] for a, b in pairwise(places))).row

    assert in_parts.attribute_values == at_once.attribute_values
    content = content_of(at_once)
    total = DayCounts.total([*content.days.values(), content.earlier])
    of_each = Counter(type(one.event) for one in events)
    assert total[:3] == (
        of_each[AlertOpened] + of_each[AlertReopened],
        of_each[AlertResolved],
        of_each[AlertAcknowledged],
    )
    assert len({part.partition("T")[0] for part in content.days}) <= DAYS_KEPT
    assert len(content.occurred) <= PARTS_OCCURRED
    occurred = Counter[str]()
    for one in events:
        occurred[day_part(one.at)] += getattr(getattr(one.event, "seen", None), "count", 0)
    newest = sorted(+occurred)[-PARTS_OCCURRED:]
    assert content.occurred == {part: occurred[part] for part in newest}


def test_an_alert_that_came_and_went_for_months_is_brought_up_in_steps_that_fit_into_a_transaction(
    ledger: Ledger, db: InMemoryDynamoDB
) -> None:
    """Each day moves counters of its own; with a rebuild going on, those of two generations."""
    generations.move(lambda _: Generations(other={"alert": 2}, phase=Phase.BOTH))
    for _ in range(80):
        problem(ledger, FINGERPRINT)
        ledger.now += DAY
        ledger.resolve_alert(FINGERPRINT)
    hints = hints_of(event(db.changes("events")))
    assert len(hints) == 160

    ledger.projector().project(hints[-1:])

    rows = rows_of(db)
    assert parked(rows) == []
    versions = {pk: item["version"]["N"] for (pk, sk), item in rows.items() if sk == "alert"}
    name = f"alert#{alert_id(FINGERPRINT)}"
    assert versions == dict.fromkeys((f"1|{name}", f"2|{name}"), str(hints[-1].last_version))
    assert differences(rows, fresh_fold(ledger)).keys() == {key for key in rows if not key[0].startswith("1|")}


# ---- the last monitoring events


@given(order=st.permutations(range(LAST_EVENTS + 5)))
def test_the_row_names_the_newest_monitoring_events_in_whatever_order_they_come(order: list[int]) -> None:
    ids = [f"{999_999_990 + n}-{n:036}" for n in range(len(order))]  # from 9 digits to 10
    late = [AlertRecurred(seen=seen(ids[n], order=n)) for n in order]

    content = shown(AlertOpened(fingerprint=FINGERPRINT, seen=seen(ids[0]), face=FACE, severity=3, config=1), *late)

    assert content.events == tuple(reversed(ids))[:LAST_EVENTS]


# ---- what it costs

UNITS: Mapping[str, tuple[float, float]] = {
    "opened": (8, 4.2),
    "recurred": (2, 2),
    "acknowledged": (12, 4.4),
    "resolved": (12, 6.3),
    "reopened": (10, 6.2),
}
"""Write units of the views by what happens to an alert, counters included: alone, and in a batch of 100 alerts."""


def problem(ledger: Ledger, fingerprint: str) -> None:
    ledger.chance = random.Random(1)  # the same source and severity, whichever alert
    ledger.take_events(Verdict.PROBLEM, fingerprint)


LIFE_OF_ONE: Mapping[str, Callable[[Ledger, str], None]] = {
    "opened": problem,
    "recurred": problem,
    "acknowledged": lambda ledger, of: ledger.acknowledge_alert(of),
    "resolved": lambda ledger, of: ledger.resolve_alert(of),
    "reopened": problem,
}


@pytest.mark.parametrize("alerts", [1, 100])
def test_an_alert_costs_its_row_its_pointer_when_that_moves_and_a_share_of_its_counters(
    ledger: Ledger, alerts: int, subtests: pytest.Subtests
) -> None:
    source = EventSource(ledger.db, "events", ledger.handler, latest=True)
    for name, act in LIFE_OF_ONE.items():
        for number in range(alerts):
            act(ledger, f"{FINGERPRINT}{number}")
        with subtests.test(name), ledger.db.metered() as used:
            source.drain()
            assert 2 <= used.write_units["views"] / alerts <= UNITS[name][alerts > 1]


def test_nearly_all_rows_of_alerts_that_somebody_works_at_stay_below_a_kilobyte(db: InMemoryDynamoDB) -> None:
    for path in FIXTURES:
        mapped = map_envelope(parse(path.read_text()), received_at=AT)
        face = Face(**{name: getattr(mapped, name) for name in Face.model_fields if name != "tags"})
        chance = random.Random(1)
        names = [event_id(1772366400 + n, str(uuid.UUID(int=chance.getrandbits(128)))) for n in range(20)]
        steps: list[DomainEvent] = [
            AlertOpened(fingerprint=mapped.fingerprint, seen=seen(names[0]), face=face, severity=3, config=1),
            *(AlertRecurred(seen=seen(name)) for name in names),
            AlertAcknowledged(),
            AlertTaskLinked(task_id=alert_id("a task")),
        ]
        ALERTS.fold(None, f"alert#{alert_id(path.stem)}", recorded(*steps)).row.save()

    found = sorted(map(sizes.item_bytes, db.items("views")))
    assert len(found) == len(FIXTURES) > 40
    assert found[int(0.9 * len(found))] <= 1024
    assert found[-1] <= 1100
