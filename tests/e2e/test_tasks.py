"""Tasks through the deployed system: found by filters, changed as read, read as written, deleted."""

import time
from typing import Any
from urllib.parse import quote

from tests.e2e.system import Answer, Api, Person, unique, wait_for


def create(api: Api, **fields: Any) -> Answer:
    body = {"title": unique("task"), "description": "Something that has to be done.", **fields}
    answer = api.call("POST", "/tasks", body)
    assert answer.status == 201, answer
    return answer


def read(api: Api, path: str, written: Answer) -> Answer:
    """A read that waits for what was written; it asks again when it is told to."""
    joint = "&" if "?" in path else "?"
    asked = f"{path}{joint}min_version={quote(written.headers['stream-version'])}"
    return wait_for(lambda: api.call("GET", asked), lambda answer: answer.status != 503)


def ids(answer: Answer) -> list[str]:
    assert answer.status == 200, answer
    return [task["id"] for task in answer.body["items"]]


def test_a_task_is_found_by_each_of_its_properties(admin: Api, person: Person) -> None:
    title = unique("Filtered")
    due = int(time.time()) + 3_600
    written = create(admin, title=title, priority="low", assigned_user_id=person.id, due_date=due)
    task = read(admin, f"/tasks/{written.body['id']}", written).body
    second = task["created_at"]
    fits = [
        f"text={title.upper()}",
        "status=open&priority=low",
        f"assigned_user_id={person.id}&status=open",
        f"created_from={second}&created_to={second + 1}",
        "overdue=false",
        f"sort=due_date&direction=desc&assigned_user_id={person.id}",
    ]
    other = [
        "status=closed",
        "priority=high",
        "overdue=true",
        f"created_to={second}",
        "event_id=1-x",
        "text=nothing+at",
    ]

    for query in fits:
        for api in (admin, person.api):
            assert task["id"] in ids(read(api, f"/tasks?limit=200&{query}", written)), query
    for query in other:
        assert task["id"] not in ids(read(admin, f"/tasks?limit=200&{query}", written)), query


def test_what_was_written_is_read_at_once_and_in_every_list(admin: Api) -> None:
    for _ in range(5):
        written = create(admin)
        task_id = written.body["id"]
        assert task_id in ids(read(admin, "/tasks?status=open&limit=1", written))
        started = admin.call("PUT", f"/tasks/{task_id}/status", {"status": "in_progress"})
        assert task_id not in ids(read(admin, "/tasks?status=open&limit=200", started))
        assert task_id in ids(read(admin, "/tasks?status=in_progress&limit=1", started))
        assert read(admin, f"/tasks/{task_id}/history", started).body["items"][-1]["version"] == 2


def test_a_version_that_never_comes_is_a_503_that_says_when_to_ask_again(admin: Api) -> None:
    written = create(admin)
    stream = written.headers["stream-version"].partition("@")[0]

    answer = admin.call("GET", f"/tasks?min_version={quote(stream)}@7")

    assert (answer.status, answer.headers["retry-after"], answer.body["title"]) == (503, "1", "Not yet")


def test_a_change_is_refused_when_somebody_was_faster(admin: Api) -> None:
    written = create(admin)
    path, etag = f"/tasks/{written.body['id']}", written.headers["etag"]

    faster = admin.call("PUT", path, {"title": "The first one's title"}, if_match=etag)
    slower = admin.call("PUT", path, {"title": "The second one's title"}, if_match=etag)

    assert (faster.status, slower.status) == (200, 412)
    assert admin.call("PUT", path, {"title": "Another title"}, if_match=faster.headers["etag"]).status == 200


def test_a_deleted_task_leaves_its_history(admin: Api, person: Person) -> None:
    written = create(admin, assigned_user_id=person.id, due_date=int(time.time()) + 3_600)
    path = f"/tasks/{written.body['id']}"

    assert person.api.call("DELETE", path).status == 403
    deleted = admin.call("DELETE", path)
    assert deleted.status == 204, deleted

    for api in (admin, person.api):
        assert read(api, path, deleted).status == 404
        assert written.body["id"] not in ids(read(api, "/tasks?limit=200", deleted))
        assert written.body["id"] not in ids(read(api, "/tasks?sort=due_date&limit=200", deleted))
        steps = read(api, f"{path}/history", deleted).body["items"]
        assert [step["type"] for step in steps] == ["task.created", "task.deleted"]
        assert steps[0]["changes"]["due_date"] == written.body["due_date"]
    assert admin.call("POST", f"{path}/comments", {"comment": "Hello?"}).status == 404
    assert admin.call("DELETE", path).status == 404
