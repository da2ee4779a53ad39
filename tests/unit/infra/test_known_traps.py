"""Mistakes that others made with event stores in Python, each of which would show here."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from domain.event import StoredEvent, decode, encode
from domain.tasks import TaskCommented
from infra.memory_event_store import MemoryEventStore
from infra.recorder import CommitRecorder

ROOT = Path(__file__).parents[3]
HANDLERS = (
    "commands.api",
    "commands.ingest",
    "projections.notifier",
    "projections.projector",
    "projections.sender",
    "queries.api",
)


@pytest.mark.parametrize("handler", HANDLERS)
def test_no_function_loads_the_library_that_patches_dataclasses_at_import(handler: str) -> None:
    program = f"import sys, {handler}; print([name for name in sys.modules if name.startswith('eventsourcing')])"
    environment = {"AWS_DEFAULT_REGION": "eu-central-1", "PYTHONPATH": str(ROOT)}
    ran = subprocess.run(
        [sys.executable, "-c", program], env=environment, cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert ran.stdout.strip().splitlines()[-1] == "[]"


def test_time_zones_are_known_where_the_system_has_no_database() -> None:
    """AWS Lambda's images have none."""
    program = "from zoneinfo import ZoneInfo, available_timezones as all; print(ZoneInfo('Europe/Berlin'), len(all()))"
    ran = subprocess.run(
        [sys.executable, "-c", program], env={"PYTHONTZPATH": ""}, capture_output=True, text=True, check=True
    )
    name, known = ran.stdout.split()
    assert name == "Europe/Berlin"
    assert int(known) > 400
    assert "\ntzdata==" in (ROOT / "requirements" / "runtime.txt").read_text()


def test_user_data_in_the_shape_of_a_librarys_type_tag_stays_what_it_is() -> None:
    text = json.dumps({"_type_": "no.such.type", "_data_": {"x": 1}})
    event = TaskCommented(comment_id="c-1", comment=text)
    stored = encode(event)
    assert decode(StoredEvent(stored.t, stored.v, json.loads(json.dumps(stored.d)))) == event


def test_what_is_stored_names_no_python_module() -> None:
    stored = encode(TaskCommented(comment_id="c-1", comment="hello"))
    assert stored.t == "task.commented"
    assert "domain" not in json.dumps(stored)


def test_the_recorder_can_be_made_over_any_store() -> None:
    assert CommitRecorder(MemoryEventStore()).select_events("nobody") == []
