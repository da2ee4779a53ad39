"""What a person sees on Slack.

`UPDATE_SNAPSHOTS=1` writes the messages under `snapshots/slack` anew; read the difference before committing it.
"""

import difflib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from domain.monitoring_rules import TaskChange
from domain.sources.mapping import State
from domain.tasks import Priority, Status
from infra import slack_messages
from infra.slack_messages import SOURCES, render_alert, render_group, render_task
from infra.slack_preview import preview
from infra.slack_text import CUT
from infra.slack_words import RESOLVED, SEVERITIES, lasted
from tests.unit.slack.told import (
    ALERT_ID,
    EVENT_ID,
    EVENTS,
    FIXTURES,
    PUBLISHED_AT,
    about,
    alert,
    assert_slack_takes,
    facts_of,
    header_of,
    mapped,
    resolved,
    task,
    values_of,
)

if TYPE_CHECKING:
    from domain.told import AlertTold, TaskTold

SNAPSHOTS = Path(__file__).parents[1] / "snapshots" / "slack"
FIXTURE_NAMES = sorted(path.stem for path in FIXTURES.iterdir())

every_source = pytest.mark.parametrize("source", EVENTS)


def of_source(source: str) -> dict[str, dict[str, Any]]:
    event = EVENTS[source]
    over = mapped("alarm-ok") if source == "aws.cloudwatch" else resolved(event)
    return {
        "opened": render_alert(alert(event)),
        "recurred": render_alert(alert(event, "recurred", count=12, openings=3)),
        "resolved": render_alert(alert(over, "resolved", severity=event.severity, count=12)),
    }


def other_news() -> dict[str, dict[str, Any]]:
    event = EVENTS["aws.cloudwatch"]
    odd = about("aws.guardduty", title="GuardDuty Finding", text=None, severity=0, status=None, console_url=None)
    return {
        "opened again": render_alert(alert(event, openings=2, count=7)),
        "severity raised": render_alert(alert(event, "severity_raised", severity=4, previous_severity=2)),
        "still open": render_alert(alert(event, "still_open", account_name=None)),
        "resolved by a person": render_alert(alert(event, "resolved", resolved_by_person=True)),
        "less severe now": render_alert(alert(event, "resolved")),
        "expired": render_alert(alert(event.model_copy(update={"text": None, "resources": ()}), event_id=None)),
        "not understood": render_alert(
            alert(odd.model_copy(update={"unmapped": ("taken as generic: detail.title is missing",)}))
        ),
    }


def of_tasks() -> dict[str, dict[str, Any]]:
    closed = task(TaskChange.STATUS_CHANGED, status=Status.CLOSED, priority=Priority.LOW)
    by_hand = task(due_date=None, alert_id=None, event_id=None, account_name=None, priority=Priority.CRITICAL)
    shown = {change.value: render_task(task(change)) for change in TaskChange}
    return {**shown, "closed": render_task(closed), "made by hand": render_task(by_hand)}


def of_groups() -> dict[str, dict[str, Any]]:
    alerts = [alert(event, severity=n % 6) for n, event in enumerate(EVENTS.values())]
    over = alert(resolved(EVENTS["aws.ecs"]), "resolved", severity=5)
    return {
        "several": render_group([over, task(), alert(EVENTS["aws.rds"], "recurred", count=12), *alerts[:3]]),
        "five hundred": render_group((alerts * 34)[:500]),
        "all over": render_group([over, over]),
    }


SHOWN: dict[str, Callable[[], dict[str, dict[str, Any]]]] = {
    **{source: lambda source=source: of_source(source) for source in EVENTS},  # type: ignore[misc]
    "alerts": other_news,
    "tasks": of_tasks,
    "groups": of_groups,
}


@pytest.mark.parametrize("name", SHOWN)
def test_the_messages_are_those_that_were_approved(name: str) -> None:
    messages = SHOWN[name]()
    for message in messages.values():
        assert_slack_takes(message)
    path = SNAPSHOTS / f"{name}.json"
    now = json.dumps(messages, indent=2, ensure_ascii=False) + "\n"
    if os.environ.get("UPDATE_SNAPSHOTS") == "1":
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(now, encoding="utf-8")
    approved = path.read_text(encoding="utf-8") if path.exists() else ""
    if now != approved:
        difference = difflib.unified_diff(approved.splitlines(), now.splitlines(), "approved", "now", lineterm="")
        renew = "UPDATE_SNAPSHOTS=1 pytest tests/unit/slack/test_messages.py"
        pytest.fail(f"{path.name} differs; if it should, `{renew}`\n" + "\n".join(difference), pytrace=False)


def test_no_snapshot_of_these_is_left_over() -> None:
    assert {path.stem for path in SNAPSHOTS.iterdir()} - {"daily-report"} == set(SHOWN)


def test_every_source_with_a_template_has_one_and_no_template_is_left_over() -> None:
    files = {path.name.removesuffix(".json.j2") for path in slack_messages.TEMPLATES.iterdir()}
    assert files - {"daily-report"} == SOURCES | {"generic", "task", "group", "_layout", "_rows"}
    assert set(EVENTS) == SOURCES | {"generic"}


# ---- alerts


@every_source
def test_a_message_says_what_where_when_how_bad_and_where_to_look(source: str) -> None:
    event = EVENTS[source]
    message = render_alert(alert(event))
    shown = preview(message)
    mark = SEVERITIES[event.severity]
    assert header_of(message).removesuffix(CUT) in f"{mark.emoji} Opened: {event.title}"
    assert message["text"].startswith(f"{mark.emoji} Opened ({mark.word}): {event.title}\n")
    assert message["attachments"][0]["color"] == mark.colour
    assert f"Severity: {mark.word} ({event.severity} of 5)" in shown
    for part in (event.account, event.region, event.resource, event.detail_type, "2025-12-11 06:48:20 CET"):
        assert part
        assert part in shown
    for line in (event.text or "").splitlines():
        assert line in shown
    assert event.status is None or event.status in shown
    assert event.console_url is None or f": {event.console_url}" in shown
    assert f"event {EVENT_ID} · opsledger alert {ALERT_ID}" in shown


@pytest.mark.parametrize("fixture", [name for name in FIXTURE_NAMES if mapped(name).state is not State.EVENT])
def test_a_message_says_nothing_twice(fixture: str) -> None:
    event = mapped(fixture)
    message = render_alert(alert(event))
    assert_slack_takes(message)
    said = [value for label, value in facts_of(message).items() if label not in {"Account", "Region", "When"}]
    texts = [
        block["text"]["text"] for block in message["blocks"][1:] if block.get("text", {}).get("type") == "plain_text"
    ]
    title = header_of(message) if not header_of(message).endswith(CUT) else texts[0]
    assert len(set(said)) == len(said)
    for value in said:
        assert value not in title.split()
        assert not any(value in text.splitlines() for text in texts)
    lines = [line for text in texts for line in text.splitlines() if line]
    assert len(set(lines)) == len(lines)
    assert not any(line in header_of(message) for line in lines if len(line) > 20)


@pytest.mark.parametrize(
    ("told", "headline"),
    [
        (alert(EVENTS["aws.config"]), "\U0001f7e1 Opened: "),
        (alert(EVENTS["aws.config"], openings=2), "\U0001f7e1 Opened again: "),
        (alert(EVENTS["aws.config"], "recurred", count=12), "\U0001f7e1 Recurred \N{MULTIPLICATION SIGN}12: "),
        (
            alert(EVENTS["aws.config"], "severity_raised", severity=3, previous_severity=1),
            "\U0001f7e0 Severity raised: low → high: ",
        ),
        (alert(EVENTS["aws.config"], "severity_raised", severity=3), "\U0001f7e0 Severity raised: high: "),
        (alert(EVENTS["aws.config"], "resolved"), "✅ Resolved after 14 min: "),
        (alert(EVENTS["aws.config"], "resolved", resolved_at=None), "✅ Resolved: "),
        (alert(EVENTS["aws.config"], "still_open"), "\U0001f7e1 Still open: "),
    ],
)
def test_the_headline_says_what_happened(told: Any, headline: str) -> None:
    message = render_alert(told)
    assert header_of(message) == f"{headline}{told.event.title}"
    assert_slack_takes(message)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (-5, "0 s"), (0, "0 s"), (59, "59 s"), (60, "1 min"), (870, "14 min"), (3_600, "1 h"), (7_500, "2 h 5 min"),
        (86_400, "1 day"), (90_000, "1 day 1 h"), (266_400, "3 days 2 h"), (172_860, "2 days 1 min"),
    ],
)  # fmt: skip
def test_durations_are_told_in_two_units_at_most(seconds: int, words: str) -> None:
    assert lasted(seconds) == words


@pytest.mark.parametrize(
    ("told", "by"),
    [
        (alert(resolved(EVENTS["aws.ecs"]), "resolved"), "its source"),
        (alert(EVENTS["aws.ecs"], "resolved", resolved_by_person=True), "a person"),
        (alert(EVENTS["aws.ecs"], "resolved"), "itself: it is less severe now than what is watched for"),
    ],
)
def test_a_resolved_alert_says_by_whom_and_does_not_look_like_an_open_one(told: Any, by: str) -> None:
    message = render_alert(told)
    assert facts_of(message)["Resolved by"] == by
    assert message["attachments"][0]["color"] == RESOLVED.colour
    assert not any("When" in label or "Open since" in label for label in facts_of(message))


def test_what_the_headline_says_of_the_past_is_not_repeated() -> None:
    event = EVENTS["aws.rds"]
    assert "So far" not in facts_of(render_alert(alert(event)))
    assert "So far" not in facts_of(render_alert(alert(event, "recurred", count=12)))
    assert facts_of(render_alert(alert(event, "resolved", count=12)))["So far"] == "occurred 12 times"
    assert facts_of(render_alert(alert(event, count=3, openings=2)))["So far"] == "occurred 3 times, opened 2 times"


def test_the_severity_shown_is_the_alerts() -> None:
    event = about("aws.cloudwatch", severity=0, state=State.RESOLVED)
    assert "Severity: high (3 of 5)" in preview(render_alert(alert(event, "resolved", severity=3)))


def test_the_account_stands_beside_its_name() -> None:
    assert facts_of(render_alert(alert(EVENTS["aws.rds"])))["Account"] == "111122223333 · shop-prod"
    unnamed = alert(EVENTS["aws.rds"], account_name=None)
    assert facts_of(render_alert(unnamed))["Account"] == "111122223333"
    nowhere = alert(about("aws.rds", account=None), account_name=None)
    assert "Account" not in facts_of(render_alert(nowhere))


def test_times_are_shown_in_the_readers_zone_and_else_in_that_of_the_config() -> None:
    told = alert(EVENTS["aws.rds"])
    when = f"<!date^{PUBLISHED_AT}^{{date_short_pretty}} {{time_secs}}|2025-12-11 06:48:20 CET>"
    assert facts_of(render_alert(told))["When"] == when
    for unusable in ("Mars/Olympus Mons", "../../etc/localtime", ""):
        nowhere = told.model_copy(update={"timezone": unusable})
        assert "2025-12-11 05:48:20 UTC" in preview(render_alert(nowhere))


@pytest.mark.parametrize(
    ("seconds", "shown"), [(253_402_300_799, "9999-12-31 23:59:59 UTC"), (0, "1970-01-01 01:00:00 CET")]
)
def test_the_last_moment_that_a_source_can_name_is_shown(seconds: int, shown: str) -> None:
    assert shown in preview(render_alert(alert(EVENTS["aws.rds"], published_at=seconds)))


def test_severities_differ_in_word_emoji_and_colour() -> None:
    assert [mark.word for mark in SEVERITIES] == ["info", "low", "medium", "high", "critical", "emergency"]
    for column in zip(*SEVERITIES, strict=True):
        assert len(set(column)) == 6


@pytest.mark.parametrize(
    ("source", "note"),
    [
        ("aws.guardduty", "GuardDuty does not report the end of a finding"),
        ("aws.ce", "does not report the end of an anomaly"),
        ("monitoring.agent", "No log says that an error is over"),
    ],
)
def test_what_no_source_will_end_says_so_until_it_is_over(source: str, note: str) -> None:
    assert note in preview(render_alert(alert(EVENTS[source])))
    assert note not in preview(render_alert(alert(EVENTS[source], "resolved", resolved_by_person=True)))


def test_an_event_that_was_not_understood_says_why() -> None:
    odd = about("generic", unmapped=("taken as generic: detail.title is missing",))
    assert "Not as expected: taken as generic: detail.title is missing" in preview(render_alert(alert(odd)))


def test_a_long_list_of_resources_says_how_many_it_leaves_out() -> None:
    names = tuple(f"i-{n:017d}" for n in range(12))
    shown = preview(render_alert(alert(about("aws.health", resource=names[0], resources=names))))
    assert f"Also affected (11)\n{names[1]}\n" in shown
    assert f"{names[10]}\n… and 1 more" in shown


def test_a_composite_alarm_lists_what_set_it_off_and_not_itself() -> None:
    arn = EVENTS["aws.cloudwatch"].resources[0]
    shown = preview(render_alert(alert(about("aws.cloudwatch", resources=(arn, f"{arn}-1", f"{arn}-2")))))
    assert f"Alarms (2)\n{arn}-1\n{arn}-2" in shown


def test_a_page_of_the_documentation_is_not_called_the_console() -> None:
    shown = preview(render_alert(alert(EVENTS["aws.securityhub"])))
    assert "Read what AWS advises: https://docs.aws.amazon.com/console/securityhub/S3.8/remediation" in shown


@every_source
def test_what_is_not_known_is_left_out(source: str) -> None:
    blank = about(source, title=" ", text="\n", account=None, region=None, resource="", status="\u200b", resources=())
    unknown = blank.model_copy(update={"console_url": None})
    message = render_alert(alert(unknown, account_name=" ", event_id=None))
    assert_slack_takes(message)
    assert header_of(message) == f"{SEVERITIES[blank.severity].emoji} Opened: {blank.detail_type}"
    assert set(facts_of(message)) == {"When"}
    assert "None" not in json.dumps(message)


def test_a_source_is_never_taken_for_a_file_name() -> None:
    message = render_alert(alert(about("generic", source="../slack/task")))
    assert "../slack/task" in values_of(message)


def test_a_title_too_long_for_the_header_stands_whole_below_it() -> None:
    title = "x" * 300
    message = render_alert(alert(about("generic", title=title)))
    assert header_of(message).endswith(CUT)
    assert message["blocks"][1]["text"]["text"] == title


def test_a_title_whose_end_the_explanation_says_is_not_repeated() -> None:
    reason = "Threshold Crossed: " + "1.0, " * 60
    message = render_alert(alert(about("aws.cloudwatch", title=f"{f'orders: {reason}'[:299]}…", text=reason)))
    assert header_of(message).endswith(CUT)
    assert "fields" in message["blocks"][1]
    assert reason in values_of(message)


def test_of_a_title_nothing_is_lost_between_the_header_and_the_explanation() -> None:
    middle = " ".join(f"stack-{n}" for n in range(30))
    title = f"{middle} FAILED: no such role"
    message = render_alert(alert(about("aws.cloudformation", title=title, text="no such role")))
    assert title in values_of(message)
    assert "no such role" not in values_of(message)


@pytest.mark.parametrize("length", [20, 200])
def test_a_title_that_is_the_explanation_is_said_once(length: int) -> None:
    text = "x" * length
    message = render_alert(alert(about("generic", title=text, text=text)))
    mark = SEVERITIES[2].emoji
    assert [value for value in values_of(message)[1:] if text in value] == [
        text if length > 150 else f"{mark} Opened: {text}"
    ]


# ---- tasks and groups


@pytest.mark.parametrize(
    ("change", "headline"),
    [
        ({"change": TaskChange.CREATED}, "New task"),
        ({"change": TaskChange.CHANGED}, "Task changed"),
        ({"change": TaskChange.STATUS_CHANGED, "status": Status.IN_PROGRESS}, "Task in progress"),
        ({"change": TaskChange.STATUS_CHANGED, "status": Status.CLOSED}, "Task closed"),
        ({"change": TaskChange.ASSIGNED}, "Task assigned"),
        ({"change": TaskChange.COMMENTED}, "Comment on a task"),
        ({"change": TaskChange.DELETED}, "Task deleted"),
    ],
)
def test_a_task_says_what_happened_to_it(change: dict[str, Any], headline: str) -> None:
    told = task(**change)
    message = render_task(told)
    assert header_of(message) == f"\N{CLIPBOARD} {headline}: {told.title}"
    assert facts_of(message)["Priority"] == "high"
    assert ("Status" in facts_of(message)) is (told.change not in {TaskChange.STATUS_CHANGED, TaskChange.DELETED})
    assert told.comment is None or told.comment in values_of(message)
    is_over = headline in {"Task closed", "Task deleted"}
    assert message["attachments"][0]["color"] == (RESOLVED if is_over else SEVERITIES[3]).colour


def test_a_group_lists_the_gravest_first_and_what_is_over_last() -> None:
    members: list[AlertTold | TaskTold] = [
        alert(about("generic", title="over"), "resolved", severity=5),
        alert(about("generic", title="minor"), severity=1),
        task(title="task", priority=Priority.HIGH),
        alert(about("generic", title="grave"), "recurred", severity=4, count=3),
    ]
    message = render_group(members)
    assert header_of(message) == "\U0001f534 4 notices: 1 opened, 1 recurred, 1 resolved, 1 task"
    assert message["attachments"][0]["color"] == SEVERITIES[4].colour
    assert [block["text"]["text"].split("\n")[0] for block in message["blocks"][1:]] == [
        "\U0001f534 Recurred \N{MULTIPLICATION SIGN}3 (critical): grave",
        "\N{CLIPBOARD} New task (high): task",
        "\U0001f535 Opened (low): minor",
        "✅ Resolved after 14 min (emergency): over",
    ]


def test_a_group_of_one_is_that_one() -> None:
    assert render_group([alert(EVENTS["aws.rds"])]) == render_alert(alert(EVENTS["aws.rds"]))
    assert render_group([task()]) == render_task(task())


def test_there_is_no_group_of_none() -> None:
    with pytest.raises(ValueError, match="at least one"):
        render_group([])


@pytest.mark.parametrize("length", [5, 50, 500, 1_500, 5_000])
def test_a_group_of_five_hundred_says_how_many_it_leaves_out(length: int) -> None:
    url = f"https://console.aws.amazon.com/{'x' * length}"
    members = [alert(about("generic", title=f"{n} {'&' * length}", console_url=url)) for n in range(500)]
    message = render_group(members)
    assert_slack_takes(message)
    listed = [block for block in message["blocks"] if block["type"] == "section"]
    assert 10 <= len(listed) <= 40
    assert listed[0]["text"]["text"].startswith("\U0001f7e1 Opened (medium): 0 ")
    assert ("fields" in listed[0]) is (length < 600)
    assert f"… and {500 - len(listed)} more, none of them graver" in preview(message)
    assert header_of(message).endswith("500 notices: 500 opened")
