"""The registry of events: stored names and versions, upcasting, and errors that say which event it is about."""

import json
from collections.abc import Iterator
from pathlib import Path
from types import NoneType
from typing import Any, NamedTuple, get_args

import pytest
from pydantic import BaseModel

from domain import event as events
from domain import registry
from domain.event import (
    DomainEvent,
    StoredEvent,
    UnreadableEventError,
    decode,
    encode,
    event_type,
    registered,
    upcaster,
)
from domain.monitoring_events import MonitoringEventRecorded
from domain.tasks import TaskAssigned, TaskCommented


class Example(NamedTuple):
    """Fields of an event as a release stored them, and the release's name and version of it."""

    name: str
    version: int
    fields: dict[str, Any]


STORED: list[dict[str, Any]] = json.loads(Path(__file__).with_name("stored_events.json").read_text())["events"]
EXAMPLES = [Example(entry["name"], entry["version"], fields) for entry in STORED for fields in entry["examples"]]
CURRENT = [example for example in EXAMPLES if example.version == registered()[example.name].version]


def named(example: Example) -> str:
    return f"{example.name}-v{example.version}"


@pytest.fixture(autouse=True)
def _registry_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a test registers is gone after it."""
    monkeypatch.setattr(events, "_types", dict(registered()))
    monkeypatch.setattr(events, "_upcasters", dict(events._upcasters))


# ---- every event that was ever stored


@pytest.mark.parametrize("example", EXAMPLES, ids=named)
def test_every_event_that_was_ever_stored_can_be_read(example: Example) -> None:
    assert decode(StoredEvent(*example)).name == example.name


@pytest.mark.parametrize("example", CURRENT, ids=named)
def test_an_event_of_the_current_version_is_written_as_it_is_read(example: Example) -> None:
    assert encode(decode(StoredEvent(*example))) == StoredEvent(*example)


@pytest.mark.parametrize("name", sorted(registered()))
def test_the_examples_of_a_current_version_fill_every_field(name: str) -> None:
    filled = {field for example in CURRENT if example.name == name for field in example.fields}
    assert filled == registered()[name].model_fields.keys()


def test_every_version_of_every_event_has_its_examples() -> None:
    """Added an event or a version? Add an example as `how_to_add` in stored_events.json says."""
    entries = [(entry["name"], entry["version"]) for entry in STORED if entry["examples"]]
    assert sorted(entries) == sorted(
        (name, version) for name, cls in registered().items() for version in range(1, cls.version + 1)
    )


def test_the_category_of_each_decider_is_its_own() -> None:
    assert set(registry.DECIDERS) == {
        *("event", "alert", "task", "user", "session", "aws-config", "monitoring-config", "report", "heartbeat"),
    }
    assert registry.DECIDERS["task"].stream("1") == "task#1"


# ---- registering


def test_a_name_is_registered_once() -> None:
    with pytest.raises(ValueError, match=r"task\.commented is registered twice"):

        @event_type("task.commented", 2)
        class Another(DomainEvent):
            comment: str


def test_a_stored_event_has_its_registered_name_and_version_and_no_python_path() -> None:
    assert encode(TaskCommented(comment_id="c1", comment="x")) == StoredEvent(
        "task.commented", 1, {"comment_id": "c1", "comment": "x"}
    )


def test_fields_without_a_value_are_not_stored_and_read_as_none() -> None:
    stored = encode(TaskAssigned(user_id=None, previous_user_id="bob"))
    assert stored.d == {"previous_user_id": "bob"}
    assert decode(stored) == TaskAssigned(user_id=None, previous_user_id="bob")


def test_a_null_in_a_message_from_aws_is_kept() -> None:
    example = next(example for example in CURRENT if example.name == "monitoring-event.recorded")
    raw = {"detail": {"empty": None, "list": [None, {"also": None}]}}
    recorded = MonitoringEventRecorded.model_validate({**example.fields, "raw": raw})
    assert encode(recorded).d["raw"] == raw


# ---- what cannot be read


def test_an_unknown_name_is_an_error_that_names_it() -> None:
    with pytest.raises(UnreadableEventError, match=r"'task\.exploded' v1"):
        decode(StoredEvent("task.exploded", 1, {}))


def test_a_newer_version_is_an_error_that_names_both() -> None:
    with pytest.raises(UnreadableEventError, match=r"task\.commented v2 was written by newer code than this \(v1\)"):
        decode(StoredEvent("task.commented", 2, {"comment_id": "c1", "comment": "x"}))


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"comment_id": "c1"}, "comment: "),
        ({"comment_id": "c1", "comment": 7}, "comment: "),
        ({"comment_id": "c1", "comment": "x", "mood": "good"}, "mood: "),
    ],
)
def test_fields_that_do_not_fit_are_an_error_that_names_event_and_field(fields: dict[str, Any], named: str) -> None:
    with pytest.raises(UnreadableEventError, match=r"task\.commented v1 does not fit its model: .*" + named):
        decode(StoredEvent("task.commented", 1, fields))


@pytest.mark.parametrize("fields", [None, 7, "text", ["list"]])
def test_fields_that_are_no_object_are_an_error_that_names_the_event(fields: Any) -> None:
    with pytest.raises(UnreadableEventError, match=r"task\.commented v1"):
        decode(StoredEvent("task.commented", 1, fields))


def test_an_error_repeats_no_value_for_it_may_be_personal() -> None:
    fields = {"email": ["ada@example.com"], "full_name": "Ada", "role": "user", "password_hash": "$2b$12$secret"}
    with pytest.raises(UnreadableEventError) as raised:
        decode(StoredEvent("user.registered", 1, {**fields, "nick": "countess"}))
    assert "email: " in str(raised.value)
    assert not any(word in str(raised.value) for word in ("ada@", "secret", "countess"))
    assert raised.value.__cause__ is None
    assert raised.value.__suppress_context__


# ---- upcasting


@pytest.fixture
def _parcel_weighed_v3(_registry_of_its_own: None) -> Iterator[None]:
    """An event in its third version: first pounds, then grams, then grams with a scale."""

    @event_type("parcel.weighed", 3)
    class ParcelWeighed(DomainEvent):
        grams: int
        scale: str

    @upcaster("parcel.weighed", 1)
    def from_pounds(fields: dict[str, Any]) -> dict[str, Any]:
        return {"grams": round(fields["pounds"] * 453.59237)}

    @upcaster("parcel.weighed", 2)
    def with_scale(fields: dict[str, Any]) -> dict[str, Any]:
        return {**fields, "scale": "unknown"}

    return iter(())


@pytest.mark.usefixtures("_parcel_weighed_v3")
@pytest.mark.parametrize(
    ("version", "fields", "expected"),
    [
        (1, {"pounds": 2}, {"grams": 907, "scale": "unknown"}),
        (2, {"grams": 5}, {"grams": 5, "scale": "unknown"}),
        (3, {"grams": 5, "scale": "north"}, {"grams": 5, "scale": "north"}),
    ],
)
def test_an_old_version_is_brought_up_step_by_step(
    version: int, fields: dict[str, Any], expected: dict[str, Any]
) -> None:
    stored = StoredEvent("parcel.weighed", version, fields)
    assert decode(stored).model_dump() == expected


@pytest.mark.usefixtures("_parcel_weighed_v3")
def test_upcasting_leaves_what_was_stored_untouched() -> None:
    fields = {"grams": 5}
    decode(StoredEvent("parcel.weighed", 2, fields))
    assert fields == {"grams": 5}


@pytest.mark.usefixtures("_parcel_weighed_v3")
def test_what_is_encoded_has_the_current_version() -> None:
    assert encode(decode(StoredEvent("parcel.weighed", 1, {"pounds": 1}))).v == 3


@pytest.mark.usefixtures("_parcel_weighed_v3")
def test_a_version_without_a_way_up_is_an_error_that_says_which_step_is_missing() -> None:
    with pytest.raises(UnreadableEventError, match=r"no upcaster from parcel\.weighed v0 to v1"):
        decode(StoredEvent("parcel.weighed", 0, {}))


@pytest.mark.usefixtures("_parcel_weighed_v3")
@pytest.mark.parametrize("fields", [{}, {"pounds": "two"}, {"pounds": None}])
def test_fields_that_an_upcaster_cannot_read_are_an_error_that_names_the_event(fields: dict[str, Any]) -> None:
    with pytest.raises(UnreadableEventError, match=r"parcel\.weighed v1 does not fit its upcaster"):
        decode(StoredEvent("parcel.weighed", 1, fields))


def _models(model: type[BaseModel]) -> Iterator[type[BaseModel]]:
    yield model
    for field in model.model_fields.values():
        for part in (field.annotation, *get_args(field.annotation)):
            if isinstance(part, type) and issubclass(part, BaseModel):
                yield from _models(part)


@pytest.mark.parametrize("name", sorted(registered()))
def test_what_may_be_absent_has_a_default(name: str) -> None:
    """Nothing is stored for None, so a field that may be None and has no default could be written but never read."""
    for model in _models(registered()[name]):
        for field_name, field in model.model_fields.items():
            if NoneType in get_args(field.annotation):
                assert field.get_default() is None, f"{model.__name__}.{field_name}"
                assert not field.is_required(), f"{model.__name__}.{field_name}"
