"""What a user who is no admin may see and do."""

from typing import Any

from tests.e2e.system import Answer, Api, Person, System, unique, wait_for


def create(api: Api, assigned: str | None = None) -> Answer:
    body: dict[str, Any] = {"title": unique("task"), "description": "Something that has to be done."}
    return api.call("POST", "/tasks", body | ({"assigned_user_id": assigned} if assigned else {}))


def shown(api: Api, task_id: str, version: int) -> dict[str, Any]:
    """The task when it is shown at that version."""
    answer = wait_for(
        lambda: api.call("GET", f"/tasks/{task_id}"), lambda answer: answer.headers.get("etag") == f'"{version}"'
    )
    found: dict[str, Any] = answer.body
    return found


def ids(api: Api) -> set[str]:
    return {task["id"] for task in api.all("/tasks?limit=200")}


def test_a_user_creates_tasks_for_themselves_only(admin: Api, person: Person) -> None:
    me = admin.get("/users/me")["id"]
    for assigned in (None, me):
        refused = create(person.api, assigned)
        assert refused.status == 403, refused
        assert refused.body["detail"] == "You may create tasks that are assigned to yourself only."
    created = create(person.api, person.id)
    assert created.status == 201, created
    task = shown(person.api, created.body["id"], 1)
    assert (task["assigned_user"], task["created_by"]) == ({"id": person.id, "name": person.name}, person.id)
    assert created.body["id"] in ids(admin)


def test_a_user_sees_and_changes_their_own_tasks_only(system: System, admin: Api, person: Person) -> None:
    other = system.register("Ada Lovelace")
    mine = create(person.api, person.id).body["id"]
    given = create(admin, person.id).body["id"]
    foreign = [create(other.api, other.id).body["id"], create(admin).body["id"]]
    for task_id in (mine, given, *foreign):
        shown(admin, task_id, 1)

    seen = ids(person.api)
    assert {mine, given} <= seen
    assert seen.isdisjoint(foreign)
    assert {mine, given, *foreign} <= ids(admin)
    assert ids(other.api) == {foreign[0]}

    for task_id in foreign:
        calls = [
            person.api.call("GET", f"/tasks/{task_id}"),
            person.api.call("GET", f"/tasks/{task_id}/history"),
            person.api.call("PUT", f"/tasks/{task_id}", {"title": "Mine now"}),
            person.api.call("PUT", f"/tasks/{task_id}/status", {"status": "in_progress"}),
            person.api.call("POST", f"/tasks/{task_id}/comments", {"comment": "Hello"}),
        ]
        assert {(answer.status, answer.body["detail"]) for answer in calls} == {(404, "There is no such task.")}
    assert person.api.call("PUT", f"/tasks/{given}/status", {"status": "in_progress"}).status == 200
    assert person.api.call("POST", f"/tasks/{given}/comments", {"comment": "On it."}).status == 201
    task = shown(admin, given, 3)
    assert (task["status"], task["comments"][0]["user_name"]) == ("in_progress", person.name)
    actors = [step["actor"]["name"] for step in person.api.get(f"/tasks/{given}/history")["items"]]
    assert actors == ["First admin", person.name, person.name]


def test_a_task_that_is_given_away_is_seen_by_its_new_assignee(system: System, admin: Api, person: Person) -> None:
    other = system.register("Radia Perlman")
    task_id = create(admin, person.id).body["id"]
    assert admin.call("PUT", f"/tasks/{task_id}", {"assigned_user_id": other.id}).status == 200
    assert shown(other.api, task_id, 2)["assigned_user"] == {"id": other.id, "name": other.name}
    assert person.api.call("GET", f"/tasks/{task_id}").status == 404
    assert task_id in ids(other.api)
    assert task_id not in ids(person.api)


def test_a_user_reads_events_the_overview_and_themselves(person: Person) -> None:
    for path in ("/events", "/notifications", "/dashboard/overview"):
        assert person.api.call("GET", path).status == 200
    me = person.api.get("/users/me")
    assert (me["id"], me["full_name"], me["role"]) == (person.id, person.name, "user")
    assert "password_hash" not in me
    assert "$2b$" not in repr(me)
