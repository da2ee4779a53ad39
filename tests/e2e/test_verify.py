"""`opsledger verify` on the deployed stack: clean while everything goes on; what was damaged is found and repaired."""

import json
import subprocess
import sys
from typing import Any

import pytest

from ops import paths
from tests.e2e.system import Api, System, alarm, unique, wait_for

COMMAND = """
import sys
from pathlib import Path
from ops import paths
paths.DEV = Path(sys.argv.pop(1))
from ops.cli import main
main()
"""


def verify(system: System, *arguments: str) -> tuple[int, dict[str, Any]]:
    """The command, in a process of its own as an operator's: its exit code, and what it says to a script."""
    command = [sys.executable, "-c", COMMAND, str(system.stack.folder), "verify", "--json", *arguments]
    done = subprocess.run(command, cwd=paths.PROJECT, capture_output=True, text=True, timeout=120, check=False)
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)


@pytest.fixture
def task(system: System, admin: Api) -> str:
    """The id of a new task that is shown, among other things."""
    system.hand_in(alarm(unique("verified")))
    body = {"title": unique("Verified"), "description": "Its row is damaged, and repaired."}
    answer = admin.call("POST", "/tasks", body)
    assert answer.status == 201, answer
    task: str = answer.body["id"]
    wait_for(lambda: admin.call("GET", f"/tasks/{task}").status, lambda status: status == 200)
    return task


def about(told: dict[str, Any], stream: str) -> list[tuple[str, str]]:
    return [(one["kind"], one["detail"]) for one in told["differences"] if one["stream"] == stream]


def stored(system: System, task: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """The key of a task's row, in whichever generation is live, and the row."""
    asked: dict[str, Any] = {":task": {"S": f"|task#{task}"}, ":row": {"S": "task"}}
    pages = (
        system.client("dynamodb")
        .get_paginator("scan")
        .paginate(
            TableName=system.status.views_table,
            FilterExpression="contains(pk, :task) AND sk = :row",
            ExpressionAttributeValues=asked,
            ConsistentRead=True,
        )
    )
    (row,) = (item for page in pages for item in page["Items"])
    return {name: row[name] for name in ("pk", "sk")}, row


def test_what_was_damaged_is_found_and_repaired(system: System, admin: Api, task: str) -> None:
    system.settle()
    before = verify(system)[1]
    broken = {one["stream"] for one in before["differences"] if one["kind"] in {"chain", "unreadable", "parked"}}
    assert [one for one in before["differences"] if one["stream"] not in broken] == []  # other tests break some
    assert before["checked"]["streams"] > 1
    assert before["checked"]["counters"] > 1
    assert f"task#{task}" not in broken

    client, table = system.client("dynamodb"), system.status.views_table
    key, row = stored(system, task)
    damaged = row["data"]["S"].replace("Its row is damaged", "Nobody is ever told")
    client.put_item(TableName=table, Item=row | {"data": {"S": damaged}})

    code, found = verify(system, "task")
    assert code == 1
    assert about(found, f"task#{task}") == [("row", "differs in data")]

    _, repaired = verify(system, "task", "--repair", "--yes")
    assert about(repaired, f"task#{task}") == []
    assert f"task#{task} / task" in [one["where"] for one in repaired["repaired"]]
    assert client.get_item(TableName=table, Key=key, ConsistentRead=True)["Item"] == row
    assert about(verify(system, "task")[1], f"task#{task}") == []
    assert "Its row is damaged" in admin.get(f"/tasks/{task}")["description"]


def test_a_sample(system: System, task: str) -> None:
    del task
    whole, sample = verify(system)[1], verify(system, "--sample", "3")[1]
    assert sample["checked"]["streams"] < whole["checked"]["streams"]
