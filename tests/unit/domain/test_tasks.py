"""The rules of tasks: what each command does to a task, and what it refuses."""

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from domain.commit import Recorded
from domain.decider import Context
from domain.errors import InvalidError, NotFoundError, StateConflictError
from domain.event import DomainEvent
from domain.task_shape import shown_changes
from domain.tasks import (
    MAX_COMMENTS,
    TASKS,
    ChangeTask,
    ChangeTaskStatus,
    CommentOnTask,
    CreateTask,
    CreateTaskFromEvent,
    EventDetails,
    Priority,
    Status,
    Task,
    TaskAssigned,
    TaskCommented,
    TaskCreated,
    TaskDeleted,
    TaskDetailsChanged,
    TaskStatusChanged,
    assign,
    change,
    change_status,
    comment,
    create,
    delete,
    from_event,
    is_overdue,
)
from domain.users import UserRegistered

if TYPE_CHECKING:
    from collections.abc import Callable

NOW = datetime(2026, 4, 1, 12, 0, tzinfo=UTC)
CONTEXT = Context(at=NOW, by="ada")
TOMORROW = int((NOW + timedelta(days=1)).timestamp())
CREATED = TaskCreated(title="Disk full", description="The disk of db-1 is full.", priority=Priority.HIGH)


def task(*events: DomainEvent) -> Task:
    """The task after these events, a minute apart; the first happens at NOW."""
    state = None
    for version, event in enumerate((CREATED, *events), start=1):
        state = TASKS.evolve(state, Recorded(event, version, NOW + timedelta(minutes=version - 1), "ada"))
    assert state is not None
    return state


def moved(*path: Status) -> list[DomainEvent]:
    """The events of a task that goes through these statuses."""
    return [TaskStatusChanged(old=old, new=new) for old, new in zip((Status.OPEN, *path), path, strict=False)]


def faults(raised: pytest.ExceptionInfo[ValidationError]) -> dict[str, str]:
    return {".".join(map(str, fault["loc"])): fault["msg"] for fault in raised.value.errors()}


# ---- what may be sent


@pytest.mark.parametrize(
    ("field", "fits", "too_short", "too_long"),
    [
        ("title", ["abc", "x" * 200], "ab", "x" * 201),
        ("description", ["ten chars.", "x" * 5000], "nine char", "x" * 5001),
    ],
)
def test_a_text_has_a_least_and_a_greatest_length(field: str, fits: list[str], too_short: str, too_long: str) -> None:
    sent = {"title": "Disk full", "description": "The disk is full."}
    for text in fits:
        assert getattr(CreateTask(**{**sent, field: text}), field) == text
    for text in (too_short, too_long):
        with pytest.raises(ValidationError) as raised:
            CreateTask(**{**sent, field: text})
        assert list(faults(raised)) == [field]
        assert "characters" in faults(raised)[field]


def test_white_space_around_a_text_does_not_count() -> None:
    assert CreateTask(title="  Disk full\n", description="\t0123456789 ").title == "Disk full"
    with pytest.raises(ValidationError) as raised:
        CreateTask(title="ab          ", description="         x")
    assert set(faults(raised)) == {"title", "description"}


def test_a_title_is_one_line_and_a_description_may_have_many() -> None:
    assert CreateTask(title="Disk full", description="One line\nand another").description == "One line\nand another"
    with pytest.raises(ValidationError) as raised:
        CreateTask(title="Disk\nfull", description="One line\nand another")
    assert list(faults(raised)) == ["title"]


@pytest.mark.parametrize("field", ["title", "description"])
def test_a_text_with_a_control_character_is_refused_by_its_code(field: str) -> None:
    with pytest.raises(ValidationError, match=r"U\+001B"):
        CreateTask(**{"title": "Disk full", "description": "The disk is full.", field: "The disk \x1b[2J is full."})


def test_a_misspelt_field_is_refused_and_not_ignored() -> None:
    with pytest.raises(ValidationError) as raised:
        CreateTask.model_validate({"titel": "Disk full", "title": "Disk full", "description": "The disk is full."})
    assert list(faults(raised)) == ["titel"]


@pytest.mark.parametrize("due", ["2026-05-01", 1.5, True, -1, 253_402_300_800, "1"])
def test_a_due_date_is_whole_seconds_within_the_calendar(due: Any) -> None:
    with pytest.raises(ValidationError) as raised:
        CreateTask(title="Disk full", description="The disk is full.", due_date=due)
    assert list(faults(raised)) == ["due_date"]


@pytest.mark.parametrize("user_id", ["", "x" * 65, 7])
def test_an_assignee_is_named_by_an_id_of_1_to_64_characters(user_id: Any) -> None:
    with pytest.raises(ValidationError) as raised:
        ChangeTask(assigned_user_id=user_id)
    assert list(faults(raised)) == ["assigned_user_id"]


@pytest.mark.parametrize("text", ["", "   ", "x" * 5001])
def test_a_comment_has_1_to_5000_characters(text: str) -> None:
    assert CommentOnTask(comment=" y ").comment == "y"
    assert len(CommentOnTask(comment="x" * 5000).comment) == 5000
    with pytest.raises(ValidationError) as raised:
        CommentOnTask(comment=text)
    assert list(faults(raised)) == ["comment"]


# ---- create


def test_a_created_task_is_open_of_medium_priority_and_nobodys() -> None:
    (event,) = create(CreateTask(title="Disk full", description="The disk is full."), CONTEXT)
    created = TASKS.evolve(None, Recorded(event, 1, NOW, "ada"))
    assert created == Task(
        title="Disk full",
        description="The disk is full.",
        status=Status.OPEN,
        priority=Priority.MEDIUM,
        created_at=NOW,
        created_by="ada",
        updated_at=NOW,
    )


def test_a_created_task_keeps_everything_that_was_sent() -> None:
    details = EventDetails(source="aws.health", detail_type="x", title="y", severity=3, published_at=1)
    command = CreateTask(
        title="Disk full",
        description="The disk is full.",
        priority=Priority.LOW,
        assigned_user_id="bob",
        due_date=TOMORROW,
    )
    assert create(command, CONTEXT, event_id="1-x", event_details=details) == [
        TaskCreated(
            title="Disk full",
            description="The disk is full.",
            priority=Priority.LOW,
            assigned_user_id="bob",
            due_date=NOW + timedelta(days=1),
            event_id="1-x",
            event_details=details,
        )
    ]


@pytest.mark.parametrize("seconds_before", [0, 1, 86_400])
def test_a_due_date_that_is_not_in_the_future_is_refused_by_name(seconds_before: int) -> None:
    due = int(NOW.timestamp()) - seconds_before
    with pytest.raises(InvalidError) as raised:
        create(CreateTask(title="Disk full", description="The disk is full.", due_date=due), CONTEXT)
    assert [fault.field for fault in raised.value.faults] == ["due_date"]


def test_the_next_second_is_in_the_future() -> None:
    due = int(NOW.timestamp()) + 1
    (event,) = create(CreateTask(title="Disk full", description="The disk is full.", due_date=due), CONTEXT)
    assert isinstance(event, TaskCreated)
    assert event.due_date == NOW + timedelta(seconds=1)


# ---- status: open <-> in_progress <-> closed

PATHS = {
    Status.OPEN: [],
    Status.IN_PROGRESS: [Status.IN_PROGRESS],
    Status.CLOSED: [Status.IN_PROGRESS, Status.CLOSED],
}
LEGAL = {
    (Status.OPEN, Status.IN_PROGRESS),
    (Status.IN_PROGRESS, Status.OPEN),
    (Status.IN_PROGRESS, Status.CLOSED),
    (Status.CLOSED, Status.IN_PROGRESS),
}


@pytest.mark.parametrize(("old", "new"), sorted(LEGAL))
def test_a_status_moves_one_step(old: Status, new: Status) -> None:
    before = task(*moved(*PATHS[old]))
    assert change_status(before, ChangeTaskStatus(status=new)) == [TaskStatusChanged(old=old, new=new)]


@pytest.mark.parametrize(("old", "new"), [(Status.OPEN, Status.CLOSED), (Status.CLOSED, Status.OPEN)])
def test_a_status_never_skips_a_step_and_the_refusal_says_what_is_possible(old: Status, new: Status) -> None:
    with pytest.raises(StateConflictError, match=f"is {old} can become in_progress, not {new}"):
        change_status(task(*moved(*PATHS[old])), ChangeTaskStatus(status=new))


@pytest.mark.parametrize("status", list(Status))
def test_the_status_that_a_task_has_already_changes_nothing(status: Status) -> None:
    assert change_status(task(*moved(*PATHS[status])), ChangeTaskStatus(status=status)) == []


def test_closing_sets_the_time_of_closing_and_reopening_clears_it() -> None:
    closed = task(*moved(Status.IN_PROGRESS, Status.CLOSED))
    assert (closed.status, closed.closed_at) == (Status.CLOSED, NOW + timedelta(minutes=2))
    reopened = task(*moved(Status.IN_PROGRESS, Status.CLOSED, Status.IN_PROGRESS))
    assert (reopened.status, reopened.closed_at) == (Status.IN_PROGRESS, None)


def test_a_comment_on_a_closed_task_leaves_it_closed_when_it_was() -> None:
    said = TaskCommented(comment_id="1", comment="Thanks.")
    closed = task(*moved(Status.IN_PROGRESS, Status.CLOSED), said)
    assert (closed.closed_at, closed.updated_at) == (NOW + timedelta(minutes=2), NOW + timedelta(minutes=3))


# ---- details (PUT): what is sent changes, what is absent stays, null clears


def test_only_the_fields_that_are_sent_change_and_the_event_tells_them_all() -> None:
    assert change(task(), ChangeTask(title="Disk nearly full"), CONTEXT) == [
        TaskDetailsChanged(
            title="Disk nearly full", description=CREATED.description, priority=Priority.HIGH, due_date=None
        )
    ]


def test_details_that_are_as_they_were_change_nothing() -> None:
    same = ChangeTask(title=CREATED.title, description=CREATED.description, priority=CREATED.priority, due_date=None)
    assert change(task(), same, CONTEXT) == []
    assert change(task(), ChangeTask(), CONTEXT) == []


@pytest.mark.parametrize("field", ["title", "description", "priority"])
def test_null_for_a_field_that_every_task_has_is_refused_by_name(field: str) -> None:
    with pytest.raises(InvalidError) as raised:
        change(task(), ChangeTask.model_validate({field: None}), CONTEXT)
    assert [(fault.field, fault.message) for fault in raised.value.faults] == [(field, "cannot be null")]


def test_all_nulls_are_named_at_once() -> None:
    with pytest.raises(InvalidError) as raised:
        change(task(), ChangeTask(title=None, description=None, priority=None), CONTEXT)
    assert {fault.field for fault in raised.value.faults} == {"title", "description", "priority"}


def test_null_clears_the_due_date_and_absence_keeps_it() -> None:
    due = TaskDetailsChanged(
        title=CREATED.title,
        description=CREATED.description,
        priority=CREATED.priority,
        due_date=NOW + timedelta(days=1),
    )
    assert change(task(due), ChangeTask(due_date=None), CONTEXT) == [due.model_copy(update={"due_date": None})]
    (renamed,) = change(task(due), ChangeTask(title="Another title"), CONTEXT)
    assert isinstance(renamed, TaskDetailsChanged)
    assert renamed.due_date == due.due_date


def test_a_due_date_that_has_passed_may_be_sent_again_but_not_set_anew() -> None:
    overdue = task(
        TaskDetailsChanged(
            title=CREATED.title,
            description=CREATED.description,
            priority=CREATED.priority,
            due_date=NOW + timedelta(days=1),
        )
    )
    later = Context(at=NOW + timedelta(days=2), by="ada")
    (event,) = change(overdue, ChangeTask(title="Still full", due_date=TOMORROW), later)
    assert isinstance(event, TaskDetailsChanged)
    assert event.due_date == NOW + timedelta(days=1)
    with pytest.raises(InvalidError, match="due_date: must be in the future"):
        change(overdue, ChangeTask(due_date=TOMORROW + 1), later)


def test_details_and_assignee_sent_together_are_two_facts() -> None:
    events = change(task(), ChangeTask(priority=Priority.LOW, assigned_user_id="bob"), CONTEXT)
    assert [event.name for event in events] == ["task.details-changed", "task.assigned"]


# ---- assignee


def test_a_task_is_assigned_passed_on_and_given_back() -> None:
    given_to_bob = TaskAssigned(user_id="bob")
    assert change(task(), ChangeTask(assigned_user_id="bob"), CONTEXT) == [given_to_bob]
    passed_on = TaskAssigned(user_id="eve", previous_user_id="bob")
    assert assign(task(given_to_bob), "eve") == [passed_on]
    assert assign(task(given_to_bob, passed_on), None) == [TaskAssigned(user_id=None, previous_user_id="eve")]
    assert task(given_to_bob, passed_on).assigned_user_id == "eve"


def test_assigning_to_the_one_who_has_it_changes_nothing() -> None:
    assert assign(task(TaskAssigned(user_id="bob")), "bob") == []
    assert change(task(), ChangeTask(assigned_user_id=None), CONTEXT) == []


def test_an_absent_assignee_stays() -> None:
    assert change(task(TaskAssigned(user_id="bob")), ChangeTask(title=CREATED.title), CONTEXT) == []


# ---- comments


def test_comments_are_kept_in_order_with_author_and_time() -> None:
    (event,) = comment(task(), CommentOnTask(comment="Looking at it."), "c1")
    assert event == TaskCommented(comment_id="c1", comment="Looking at it.")
    seen = task(event, TaskCommented(comment_id="c2", comment="Done."))
    assert [(said.id, said.user_id, said.comment) for said in seen.comments] == [
        ("c1", "ada", "Looking at it."),
        ("c2", "ada", "Done."),
    ]
    assert [said.created_at for said in seen.comments] == [NOW + timedelta(minutes=n) for n in (1, 2)]
    assert seen.comment_count == 2


# ---- a task that is not there, events that do not belong


def test_nothing_can_be_done_to_a_task_that_does_not_exist() -> None:
    with pytest.raises(NotFoundError):
        change(None, ChangeTask(title="Disk full"), CONTEXT)
    with pytest.raises(NotFoundError):
        change_status(None, ChangeTaskStatus(status=Status.CLOSED))
    with pytest.raises(NotFoundError):
        assign(None, "bob")
    with pytest.raises(NotFoundError):
        comment(None, CommentOnTask(comment="Hello?"), "c1")


def test_a_stream_that_does_not_begin_with_a_creation_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"task\.commented before task\.created"):
        TASKS.evolve(None, Recorded(TaskCommented(comment_id="1", comment="x"), 1, NOW, "ada"))


def test_an_event_of_another_aggregate_is_an_error() -> None:
    stranger = UserRegistered.model_validate({"email": "a", "full_name": "b", "role": "user", "password_hash": "c"})
    with pytest.raises(ValueError, match=r"does not know the event user\.registered"):
        TASKS.evolve(task(), Recorded(stranger, 2, NOW, "ada"))


def test_evolving_checks_no_rule_so_that_one_tightened_later_leaves_old_streams_readable() -> None:
    """Too short, overdue from the start, and closed straight from open: no command would do it, an old one may have."""
    created = TaskCreated(title="x", description="", priority=Priority.LOW, due_date=NOW - timedelta(days=9))
    state = TASKS.evolve(None, Recorded(created, 1, NOW, "ada"))
    state = TASKS.evolve(state, Recorded(TaskStatusChanged(old=Status.OPEN, new=Status.CLOSED), 2, NOW, "ada"))
    assert (state.title, state.status, state.closed_at) == ("x", Status.CLOSED, NOW)


# ---- from a monitoring event

DETAILS = EventDetails(
    source="aws.guardduty", detail_type="GuardDuty Finding", title="Port probe on i-1", severity=3, published_at=1
)


def test_what_the_person_leaves_out_comes_from_the_event() -> None:
    assert from_event(CreateTaskFromEvent(), DETAILS, "EC2 instance i-1 is being probed.") == CreateTask(
        title="Port probe on i-1",
        description="aws.guardduty: GuardDuty Finding, severity 3.\n\nEC2 instance i-1 is being probed.",
        priority=Priority.HIGH,
    )


def test_what_the_person_sends_goes_before_the_event() -> None:
    sent = CreateTaskFromEvent(
        title="Close the port",
        description="Close port 22 of i-1.",
        priority=Priority.LOW,
        assigned_user_id="bob",
        due_date=TOMORROW,
    )
    assert from_event(sent, DETAILS, "Probed.").model_dump() == sent.model_dump()


def test_without_a_text_the_description_repeats_the_title() -> None:
    assert from_event(CreateTaskFromEvent(), DETAILS, None).description.endswith("\n\nPort probe on i-1")


@pytest.mark.parametrize(
    ("severity", "priority"),
    [
        (0, Priority.LOW),
        (1, Priority.LOW),
        (2, Priority.MEDIUM),
        (3, Priority.HIGH),
        (4, Priority.CRITICAL),
        (5, Priority.CRITICAL),
    ],
)
def test_the_priority_follows_the_severity(severity: int, priority: Priority) -> None:
    details = DETAILS.model_copy(update={"severity": severity})
    assert from_event(CreateTaskFromEvent(), details, None).priority is priority


def test_a_long_title_and_a_long_text_are_cut_and_end_in_an_ellipsis() -> None:
    command = from_event(CreateTaskFromEvent(), DETAILS.model_copy(update={"title": "x" * 300}), "y" * 6000)
    assert command.title == "x" * 199 + "…"
    assert (len(command.description), command.description[-1]) == (5000, "…")


def test_a_title_is_not_cut_behind_a_blank() -> None:
    command = from_event(CreateTaskFromEvent(), DETAILS.model_copy(update={"title": "x" * 198 + " " + "y" * 9}), None)
    assert command.title == "x" * 198 + "…"


@pytest.mark.parametrize(
    ("title", "expected"),
    [
        ("", "Monitoring event"),
        ("\x00\x1b", "Monitoring event"),
        ("ab", "Monitoring event ab"),
        ("Disk\nfull\ton\x00db-1", "Disk full on db-1"),
        ("Disk\u2028full", "Disk full"),
        ("Platte läuft voll 🔥", "Platte läuft voll 🔥"),
    ],
)
def test_an_odd_title_becomes_one_that_a_task_may_have(title: str, expected: str) -> None:
    assert from_event(CreateTaskFromEvent(), DETAILS.model_copy(update={"title": title}), None).title == expected


ANY_TEXT = st.text(st.characters(exclude_categories=()), max_size=400)


@settings(max_examples=300, deadline=None)
@given(title=ANY_TEXT, text=st.none() | ANY_TEXT, source=ANY_TEXT, detail_type=ANY_TEXT, severity=st.integers(0, 5))
def test_a_task_can_be_made_from_whatever_aws_calls_its_event(
    title: str, text: str | None, source: str, detail_type: str, severity: int
) -> None:
    details = EventDetails.model_construct(
        source=source, detail_type=detail_type, title=title, severity=severity, published_at=1
    )
    command = from_event(CreateTaskFromEvent(), details, text)
    assert 3 <= len(command.title) <= 200
    assert 10 <= len(command.description) <= 5000


@settings(max_examples=20, deadline=None)
@given(length=st.integers(190, 320), filler=st.sampled_from([" ", "\n", "\x00", "x", "é", "\u3000", "🔥"]))
def test_no_length_of_title_or_text_is_in_the_way(length: int, filler: str) -> None:
    details = DETAILS.model_copy(update={"title": f"a{filler * length}b"})
    command = from_event(CreateTaskFromEvent(), details, f"a{filler * length * 20}b")
    assert 3 <= len(command.title) <= 200
    assert 10 <= len(command.description) <= 5000


def test_a_task_takes_a_limited_number_of_comments() -> None:
    full = Task(
        title="Look into it",
        description="Something is broken",
        priority=Priority.MEDIUM,
        created_at=NOW,
        created_by="ada",
        updated_at=NOW,
        comment_count=MAX_COMMENTS - 1,
    )
    (said,) = comment(full, CommentOnTask(comment="one more"), "c")
    full = TASKS.evolve(full, Recorded(said, 2, NOW, "ada"))
    with pytest.raises(StateConflictError, match="250 comments"):
        comment(full, CommentOnTask(comment="too many"), "c")


# ---- deleting


def test_a_deleted_task_takes_no_command_any_more() -> None:
    assert delete(task()) == [TaskDeleted()]
    gone = task(TaskDeleted())
    assert (gone.is_deleted, gone.updated_at) == (True, NOW + timedelta(minutes=1))
    commands: list[Callable[[], object]] = [
        lambda: delete(gone),
        lambda: change(gone, ChangeTask(title="Disk full"), CONTEXT),
        lambda: change_status(gone, ChangeTaskStatus(status=Status.IN_PROGRESS)),
        lambda: assign(gone, "bob"),
        lambda: comment(gone, CommentOnTask(comment="Hello?"), "c1"),
    ]
    for command in commands:
        with pytest.raises(NotFoundError):
            command()


def test_a_task_that_does_not_exist_cannot_be_deleted() -> None:
    with pytest.raises(NotFoundError):
        delete(None)


# ---- overdue


def due(at: datetime | None) -> TaskDetailsChanged:
    return TaskDetailsChanged(
        title=CREATED.title, description=CREATED.description, priority=CREATED.priority, due_date=at
    )


def test_a_task_is_overdue_after_its_due_date_until_it_is_closed() -> None:
    late = due(NOW - timedelta(milliseconds=1))
    assert is_overdue(task(late), NOW)
    assert is_overdue(task(late, *moved(Status.IN_PROGRESS)), NOW)
    assert not is_overdue(task(late, *moved(Status.IN_PROGRESS, Status.CLOSED)), NOW)
    assert is_overdue(task(late, *moved(Status.IN_PROGRESS, Status.CLOSED, Status.IN_PROGRESS)), NOW)
    assert not is_overdue(task(due(NOW)), NOW)
    assert not is_overdue(task(due(None)), NOW)


# ---- how its events are shown


def test_what_an_event_says_is_shown_with_times_in_unix_seconds_and_without_empty_fields() -> None:
    assert shown_changes(due(NOW)) == {
        "title": CREATED.title,
        "description": CREATED.description,
        "priority": "high",
        "due_date": int(NOW.timestamp()),
    }
    assert "due_date" not in shown_changes(due(None))
    assert shown_changes(TaskDeleted()) == {}
