"""A stack of its own, with no webhook at first, that is stopped and started again."""

from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import pytest
import urllib3

from ops import paths
from ops.local_stack import LocalStack
from tests.e2e.system import Api, Slack, System, alarm, unique, wait_for


@pytest.fixture
def stacks(tmp_path: Path) -> Iterator[Generator[LocalStack]]:
    """Stacks in one folder, one after the other, each started; the one before it is stopped first."""
    if not paths.EMULATOR_PYTHON.exists():
        pytest.skip("`sh ops/bootstrap.sh` installs the emulator")

    def started() -> Generator[LocalStack]:
        while True:
            with LocalStack(tmp_path / "stack", port=0) as stack:  # another port each time
                yield stack

    one_by_one = started()
    yield one_by_one
    one_by_one.close()


def test_data_survives_a_restart_and_everything_goes_on(
    stacks: Iterator[LocalStack], pool: urllib3.PoolManager, slack: Slack
) -> None:
    first = next(stacks)
    first.deploy()
    system = System(first, pool)
    admin = system.log_in()
    old = unique("old")
    event, task_id = before(system, admin, old)
    overview, total_before = admin.get("/dashboard/overview"), total(admin)
    unseen = unique("unseen")
    record_without_projecting(first, system, admin, unseen)
    assert system.complaints() == []

    second = next(stacks)
    second.deploy()
    system = System(second, pool)
    system.configure_webhook(slack.webhook)
    admin = system.log_in()
    # The emulator forgets its streams' records when it is stopped; what they had announced is caught up with.
    (caught_up,) = wait_for(lambda: admin.events(unseen))
    assert caught_up["id"] in {item["id"] for item in admin.get("/events")["items"]}
    assert admin.get(f"/events/{event['id']}") == event
    assert admin.events(old) == [event]
    assert total(admin) == total_before + 1
    assert admin.get("/dashboard/overview")["tasks"] == overview["tasks"]
    after(system, admin, slack, task_id)
    assert slack.received(old) == [], "what was decided before is not decided anew"
    assert len(unconfigured(admin, old)) == 2
    assert system.complaints() == []


def total(admin: Api) -> int:
    return int(admin.get("/dashboard/overview")["events"]["last_7_days"]["total"])


def record_without_projecting(stack: LocalStack, system: System, admin: Api, name: str) -> None:
    """An event that is in the ledger, and that the projector has not heard of when the stack is stopped."""
    functions, dynamodb = stack.config.client("lambda"), stack.config.client("dynamodb")
    function, table = f"{stack.config.stack_name}-projector", stack.status().events_table
    mappings = functions.list_event_source_mappings(FunctionName=function)["EventSourceMappings"]

    def switch(*, on: bool) -> None:
        for mapping in mappings:
            functions.update_event_source_mapping(UUID=mapping["UUID"], Enabled=on)

    recorded = dynamodb.scan(TableName=table, Select="COUNT")["Count"]
    switch(on=False)
    system.hand_in(alarm(name))
    # The monitoring event and its alert; a heartbeat may be among them.
    wait_for(lambda: dynamodb.scan(TableName=table, Select="COUNT")["Count"], lambda count: count >= recorded + 2)
    wait_for(lambda: unconfigured(admin, name))  # or it would be sent after the restart
    stack.stop()
    stack.start()
    functions = stack.config.client("lambda")
    switch(on=True)


def before(system: System, admin: Api, old: str) -> tuple[dict[str, Any], str]:
    """An event that nobody can be told of, and a task made of it."""
    system.hand_in(alarm(old))
    (event,) = wait_for(lambda: admin.events(old))
    (untold,) = wait_for(lambda: unconfigured(admin, old))
    assert untold["sent_at"] is None
    assert untold["error"] == "no webhook is configured for the channel default"
    assert old in untold["message"]["text"]
    assert untold["message"]["blocks"]
    task_id = str(admin.call("POST", f"/events/{event['id']}/create-task", {}).body["id"])
    wait_for(lambda: admin.call("GET", f"/tasks/{task_id}").status, lambda status: status == 200)
    wait_for(lambda: unconfigured(admin, old), lambda found: len(found) == 2)  # of the alert and of the task
    return event, task_id


def unconfigured(admin: Api, text: str) -> list[dict[str, Any]]:
    """The notifications about `text` that have no webhook to go to."""
    return [told for told in admin.notifications(text) if told["status"] == "unconfigured"]


def after(system: System, admin: Api, slack: Slack, task_id: str) -> None:
    """A change to the old task shows, and a new event is listed and told."""
    assert admin.call("PUT", f"/tasks/{task_id}/status", {"status": "in_progress"}).status == 200
    wait_for(lambda: admin.get(f"/tasks/{task_id}")["status"], lambda status: status == "in_progress")
    new = unique("new")
    system.hand_in(alarm(new))
    wait_for(lambda: admin.events(new))
    wait_for(lambda: admin.notifications(new), lambda found: [told["status"] for told in found] == ["sent"])
    system.settle()
    assert len(slack.received(new)) == 1
    counted = admin.get("/dashboard/overview")
    assert counted["events"]["last_7_days"]["total"] == 3
    assert counted["tasks"]["by_status"] == {"open": 0, "in_progress": 1, "closed": 0}
