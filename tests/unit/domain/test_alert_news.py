"""What a task learns of its alert, and what that does to it."""

from datetime import UTC, datetime, timedelta

import pytest

from domain.alert_news import MAX_TOLD, Happened, News, tell
from domain.alerts import Alert, AlertReopened, AlertResolved, AlertState, Ending, Face, Seen
from domain.monitoring_config import ResolvedAlertPolicy
from domain.tasks import (
    MAX_COMMENTS,
    Comment,
    Priority,
    Status,
    Task,
    TaskCommented,
    TaskStatusChanged,
)

OPENED = datetime(2026, 4, 1, 12, 0, tzinfo=UTC)
RESOLVED = OPENED + timedelta(minutes=12)
TELLER = "system:reactions"
FACE = Face(source="aws.cloudwatch", detail_type="CloudWatch Alarm State Change", title="5xx rate: ALARM")
ALERT = Alert(
    fingerprint="alarm:1",
    face=FACE,
    state=AlertState.RESOLVED,
    order=1,
    rank=3,
    openings=1,
    opened_at=OPENED,
    resolved_at=RESOLVED,
    created_at=OPENED,
    updated_at=RESOLVED,
)
AGAIN = ALERT.model_copy(
    update={"state": AlertState.OPEN, "opened_at": RESOLVED + timedelta(minutes=1), "resolved_at": None}
)
TASK = Task(
    title="Look into it",
    description="Something is wrong.",
    priority=Priority.HIGH,
    created_at=OPENED + timedelta(minutes=2),
    created_by="ada",
    updated_at=OPENED + timedelta(minutes=2),
)
SEEN = Seen(ids=("1-x",), count=1, first=1, last=1, order=2, rank=3)


def resolved(ending: Ending = Ending.SOURCE, by: str = "system:ingest", at: datetime = RESOLVED) -> News:
    return News("commit-1", at, by, AlertResolved(ending=ending))


def comments(*users: str) -> Task:
    """The task with a comment of each of these."""
    said = tuple(Comment(id=f"c-{n}", user_id=user, comment="x", created_at=OPENED) for n, user in enumerate(users))
    return TASK.model_copy(update={"comments": said, "comment_count": len(said)})


def told(task: Task, news: News, alert: Alert = ALERT) -> str:
    """The comment, if the policy is to comment."""
    (event,) = tell(task, news, alert, ResolvedAlertPolicy.COMMENT, TELLER)
    assert isinstance(event, TaskCommented)
    return event.comment


@pytest.mark.parametrize(
    ("ending", "by", "text"),
    [
        (
            Ending.SOURCE,
            "system:ingest",
            "The alert was resolved by its source, aws.cloudwatch, 12 min after it opened.",
        ),
        (Ending.PERSON, "ada", "The alert was resolved by the user ada, 12 min after it opened."),
        (
            Ending.MINOR,
            "system:ingest",
            (
                "The alert was resolved because the problem is less severe now than what is watched for, "
                "12 min after it opened."
            ),
        ),
    ],
)
def test_a_comment_says_that_the_alert_was_resolved_by_what_and_after_how_long(
    ending: Ending, by: str, text: str
) -> None:
    assert told(TASK, resolved(ending, by)) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (119, "119 s"),
        (120, "2 min"),
        (7199, "119 min"),
        (7200, "2 h"),
        (172_799, "47 h"),
        (172_800, "2 days"),
    ],
)
def test_how_long_it_was_open_is_said_in_one_unit(seconds: int, text: str) -> None:
    alert = ALERT.model_copy(update={"opened_at": RESOLVED - timedelta(seconds=seconds)})
    task = TASK.model_copy(update={"created_at": OPENED - timedelta(days=9)})
    assert f", {text} after it opened." in told(task, resolved(), alert)


def test_news_that_come_after_the_alert_opened_again_say_so() -> None:
    assert told(TASK, resolved(), AGAIN) == (
        "The alert was resolved by its source, aws.cloudwatch. It has opened again since then."
    )


@pytest.mark.parametrize(
    ("status", "steps"),
    [
        (Status.OPEN, [(Status.OPEN, Status.IN_PROGRESS), (Status.IN_PROGRESS, Status.CLOSED)]),
        (Status.IN_PROGRESS, [(Status.IN_PROGRESS, Status.CLOSED)]),
    ],
)
def test_a_task_is_closed_step_by_step_and_says_why(status: Status, steps: list[tuple[Status, Status]]) -> None:
    task = TASK.model_copy(update={"status": status})
    said, *changes = tell(task, resolved(), ALERT, ResolvedAlertPolicy.CLOSE, TELLER)
    assert isinstance(said, TaskCommented)
    assert said.comment.endswith("after it opened. That closes this task.")
    assert changes == [TaskStatusChanged(old=old, new=new) for old, new in steps]


def test_a_task_is_not_closed_if_the_alert_has_opened_again() -> None:
    (event,) = tell(TASK, resolved(), AGAIN, ResolvedAlertPolicy.CLOSE, TELLER)
    assert isinstance(event, TaskCommented)


@pytest.mark.parametrize("policy", [ResolvedAlertPolicy.COMMENT, ResolvedAlertPolicy.CLOSE])
def test_an_open_task_learns_that_its_alert_opened_again(policy: ResolvedAlertPolicy) -> None:
    event: Happened = AlertReopened(seen=SEEN, face=FACE, severity=3, config=0)
    opened_at = AGAIN.opened_at
    assert opened_at
    news = News("commit-2", opened_at, "system:ingest", event)
    assert tell(TASK, news, AGAIN, policy, TELLER) == [
        TaskCommented(comment_id="commit-2", comment="The alert opened again.")
    ]
    assert tell(TASK, news, ALERT, policy, TELLER) == []  # it is resolved by now


@pytest.mark.parametrize(
    "task",
    [
        None,
        TASK.model_copy(update={"is_deleted": True}),
        TASK.model_copy(update={"status": Status.CLOSED}),
        TASK.model_copy(update={"created_at": RESOLVED + timedelta(milliseconds=1)}),
    ],
)
@pytest.mark.parametrize("policy", [ResolvedAlertPolicy.COMMENT, ResolvedAlertPolicy.CLOSE])
def test_a_task_that_is_gone_closed_or_newer_than_the_news_is_left_alone(
    task: Task | None, policy: ResolvedAlertPolicy
) -> None:
    assert tell(task, resolved(), ALERT, policy, TELLER) == []


def test_the_policy_may_be_to_do_nothing() -> None:
    assert tell(TASK, resolved(), ALERT, ResolvedAlertPolicy.NOTHING, TELLER) == []


def test_news_are_told_once_however_long_ago_that_was() -> None:
    said = Comment(id="commit-1", user_id=TELLER, comment="…", created_at=RESOLVED)
    task = TASK.model_copy(update={"comments": (said,), "comment_count": 1})
    assert tell(task, resolved(), ALERT, ResolvedAlertPolicy.COMMENT, TELLER) == []
    assert tell(task, resolved(), ALERT, ResolvedAlertPolicy.CLOSE, TELLER) == []


def test_an_alert_that_comes_and_goes_leaves_room_for_what_people_say() -> None:
    people = ("ada",) * (MAX_TOLD + 1)
    assert told(comments(*people, *(TELLER,) * (MAX_TOLD - 1)), resolved())
    full = comments(*people, *(TELLER,) * MAX_TOLD)
    assert tell(full, resolved(), ALERT, ResolvedAlertPolicy.COMMENT, TELLER) == []


@pytest.mark.parametrize("task", [comments(*("ada",) * MAX_COMMENTS), comments(*(TELLER,) * MAX_TOLD)])
def test_a_task_that_takes_no_comment_any_more_is_closed_without_one(task: Task) -> None:
    events = tell(task, resolved(), ALERT, ResolvedAlertPolicy.CLOSE, TELLER)
    assert [type(event) for event in events] == [TaskStatusChanged, TaskStatusChanged]
