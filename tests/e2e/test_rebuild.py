"""A rebuild by the command on the deployed stack: people go on, nobody is told anything, and a kill costs nothing."""

import json
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

import pytest

from ops.paths import PROJECT
from tests.e2e.system import Api, Slack, System, alarm, unique, wait_for

# Who started these tests may ignore Ctrl-C, as a shell does for what it runs in the background; the command must not.
COMMAND = (
    "import signal; signal.signal(signal.SIGINT, signal.default_int_handler);"
    "from ops import cli, cli_rebuild; from ops.aws import SessionConfig;"
    "cli_rebuild.connect = lambda _stage: SessionConfig('local', {endpoint!r}); cli.main()"
)
DEADLINE = 240
REPORT = "Daily report"
"""What a new stack tells some minutes after its start, whatever else is going on."""


class People:
    """Somebody who changes a task and makes others, and somebody who reads them, until they are told to stop."""

    def __init__(self, api: Api, word: str) -> None:
        self.word = word
        self.made: list[str] = []
        self.troubles: list[str] = []
        self.changes = self.seen = 0
        self._api = api
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._guarded, args=(work,)) for work in (self._write, self._read)]
        self._task = self._create()
        wait_for(lambda: api.call("GET", f"/tasks/{self._task}").status, lambda status: status == 200)

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def shown(self) -> int:
        """The change that the task shows, by its number."""
        return int(self._api.get(f"/tasks/{self._task}")["title"].removeprefix(self.word) or 0)

    def _guarded(self, work: Any) -> None:
        try:
            while not self._stop.wait(0.1):
                work()
        except BaseException as error:  # noqa: BLE001 - it belongs to the test's thread
            self.troubles.append(repr(error))

    def _write(self) -> None:
        self._create()
        changed = self._api.call("PUT", f"/tasks/{self._task}", {"title": f"{self.word} {self.changes + 1}"})
        assert changed.status == 200, changed
        self.changes += 1

    def _create(self) -> str:
        answer = self._api.call("POST", "/tasks", {"title": self.word, "description": "While a rebuild goes on."})
        assert answer.status == 201, answer
        self.made.append(answer.body["id"])
        return self.made[-1]

    def _read(self) -> None:
        before = self.seen
        self.seen = self.shown()
        assert self.seen >= before, f"change {before} was shown, and then {self.seen}"
        assert self._api.get("/tasks?limit=5")["items"]
        assert self._api.get("/events?limit=5")["items"]


class Rebuilding:
    """The command in a process of its own."""

    def __init__(self, system: System, log: Path, *arguments: str) -> None:
        command = COMMAND.format(endpoint=system.stack.config.endpoint_url)
        self._log = log
        with log.open("w") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-c", command, "rebuild", "--yes", *arguments],
                cwd=PROJECT,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
            )

    @property
    def said(self) -> str:
        return self._log.read_text()

    def ended(self) -> int:
        """Its exit code."""
        return self.process.wait(DEADLINE)

    def children(self) -> list[int]:
        listed = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return [int(pid) for pid in listed.read_text().split()] if listed.exists() else []


@pytest.fixture
def rebuilding(system: System, tmp_path: Path) -> Iterator[Any]:
    """Starts the command; what still runs at the end is killed."""
    started: list[Rebuilding] = []

    def start(*arguments: str) -> Rebuilding:
        started.append(Rebuilding(system, tmp_path / f"rebuild{len(started)}.log", *arguments))
        return started[-1]

    yield start
    for one in started:
        if one.process.poll() is None:
            one.process.kill()
            one.process.wait()


def pointer(system: System) -> dict[str, Any]:
    """The generations, as they are stored."""
    key = {"pk": {"S": "projections"}, "sk": {"S": "generations"}}
    table = system.stack.config.client("cloudformation").describe_stacks(StackName=system.status.stack_name)
    outputs = {one["OutputKey"]: one["OutputValue"] for one in table["Stacks"][0]["Outputs"]}
    item = system.client("dynamodb").get_item(TableName=outputs["ViewsTable"], Key=key, ConsistentRead=True).get("Item")
    return json.loads(item["data"]["S"]) if item else {"live": {}, "phase": None}


def is_running(pid: int) -> bool:
    stat = Path(f"/proc/{pid}/stat")
    try:
        return stat.read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_a_rebuild_that_is_interrupted_and_killed_is_gone_on_with_and_nobody_notices(
    system: System, admin: Api, slack: Slack, rebuilding: Any
) -> None:
    name, word = unique("before-rebuild"), unique("meanwhile")
    system.hand_in(alarm(name))
    wait_for(lambda: slack.received(name))
    system.settle()
    live = pointer(system)["live"]
    told = {one["id"] for one in admin.all("/notifications?limit=200")}
    posts = len(slack.posts)

    with People(admin, word) as people:
        interrupted = rebuilding("--segments", "2")
        wait_for(lambda: pointer(system)["phase"], lambda phase: phase == "bulk", deadline=DEADLINE)
        interrupted.process.send_signal(signal.SIGINT)
        assert interrupted.ended() == 130, interrupted.said
        assert "run the same command again" in " ".join(interrupted.said.split())

        first = rebuilding()
        wait_for(lambda: pointer(system)["phase"], lambda phase: phase == "both", deadline=DEADLINE)
        children = first.children()
        first.process.kill()
        first.process.wait()
        wait_for(lambda: [pid for pid in children if is_running(pid)], lambda left: not left)
        assert len(children) >= 2

        refused = rebuilding()
        assert refused.ended() == 1, refused.said
        assert "another process carries out a rebuild" in refused.said

        def gone_on() -> Rebuilding | None:
            again = rebuilding()
            return again if again.ended() == 0 else None

        second = wait_for(gone_on, deadline=DEADLINE)
        assert second is not None
        assert people.made[1:]
        assert "\n".join(people.troubles) == "", "\n\n".join(system.complaints()[-10:])

    said = " ".join(second.said.split())
    assert "Going on with the rebuild" in said
    assert "No differences." in said, second.said
    assert "Swapped" in said
    after = pointer(system)
    assert after["phase"] is None
    assert after["live"] == {kind: live.get(kind, 1) + 1 for kind in after["live"]}
    assert {"event", "task", "user"} <= set(after["live"])

    wait_for(people.shown, lambda shown: shown == people.changes)
    wait_for(lambda: {one["id"] for one in admin.all("/tasks?limit=200")}, lambda ids: set(people.made) <= ids)
    counted = admin.get("/dashboard/overview")["tasks"]["total"]
    assert counted == len(admin.all("/tasks?limit=200"))
    assert len(admin.events(name)) == 1
    assert len(slack.received(name)) == 1
    new = [one["title"] for one in admin.all("/notifications?limit=200") if one["id"] not in told]
    assert [title for title in new if not any(known in title for known in (word, REPORT))] == []
    shown = [json.dumps(post) for post in slack.posts[posts:]]
    assert [post for post in shown if not any(known in post for known in (word, REPORT))] == []
