"""Users from their registration to their deletion, through the deployed system."""

from typing import Any, NamedTuple
from urllib.parse import quote

import pytest

from tests.e2e.system import Answer, Api, System, unique, wait_for

PASSWORD, OWN_PASSWORD, RESET_PASSWORD = "handed over by phone", "known to nobody else", "forgotten, so set anew"


class New(NamedTuple):
    """Somebody who was registered a moment ago."""

    id: str
    email: str
    name: str


@pytest.fixture
def new(admin: Api) -> New:
    name, email = unique("Hedy"), f"{unique('hedy')}@example.com"
    answer = admin.call("POST", "/users", {"email": email, "full_name": name, "password": PASSWORD})
    assert answer.status == 201, answer
    assert answer.headers["location"] == f"/users/{answer.body['id']}"
    return New(answer.body["id"], email, name)


def shown(api: Api, written: Answer, path: str) -> Answer:
    """What a path shows as soon as it shows what was written."""
    return api.call("GET", f"{path}?min_version={quote(written.headers['stream-version'])}")


def login_status(system: System, email: str, password: str) -> int:
    return system.api.call("POST", "/auth/login", {"email": email, "password": password}).status


def change(api: Api, user_id: str, **fields: Any) -> Answer:
    return api.call("PUT", f"/users/{user_id}", fields)


def set_password(api: Api, user_id: str, new_password: str, **old: str) -> int:
    return api.call("PUT", f"/users/{user_id}/password", {"new_password": new_password, **old}).status


def test_a_registered_user_sees_and_changes_their_own_profile_only(system: System, admin: Api, new: New) -> None:
    me = system.api.log_in(new.email, PASSWORD)
    first_admin = admin.get("/users/me")["id"]
    changed = change(me, new.id, full_name="Hedy Lamarr", email=f"new-{new.email}")
    assert (changed.status, changed.body["last_login"]) == (200, None)
    seen = shown(me, changed, "/users/me")
    assert (seen.body["full_name"], seen.body["email"], seen.body["role"]) == (
        "Hedy Lamarr",
        f"new-{new.email}",
        "user",
    )
    wait_for(lambda: me.get("/users/me")["last_login"])
    assert login_status(system, new.email, PASSWORD) == 401
    assert login_status(system, f"new-{new.email}", PASSWORD) == 200

    assert change(me, new.id, role="admin").status == 403
    assert change(me, first_admin, full_name="Somebody").status == 404
    assert [me.call("GET", path).status for path in ("/users", f"/users/{first_admin}")] == [403, 404]
    assert me.call("POST", "/users", {"email": "x@example.com", "full_name": "X Y", "password": PASSWORD}).status == 403
    assert me.call("DELETE", f"/users/{new.id}").status == 403


def test_a_password_is_changed_by_its_owner_and_reset_by_an_admin(system: System, admin: Api, new: New) -> None:
    me = system.api.log_in(new.email, PASSWORD)
    assert set_password(me, new.id, OWN_PASSWORD, old_password="not the old one") == 403
    assert set_password(me, new.id, OWN_PASSWORD, old_password=PASSWORD) == 204
    assert login_status(system, new.email, PASSWORD) == 401

    assert set_password(admin, new.id, RESET_PASSWORD) == 204
    answer = system.api.call("POST", "/auth/login", {"email": new.email, "password": RESET_PASSWORD})
    assert (answer.status, answer.body["password_change_required"]) == (200, True)
    me = system.api.as_caller(answer.body["access_token"])
    assert me.call("GET", "/tasks").status == 403
    assert set_password(me, new.id, OWN_PASSWORD, old_password=RESET_PASSWORD) == 204
    assert system.api.log_in(new.email, OWN_PASSWORD).get("/tasks")["items"] == []


def test_an_admin_changes_everything_of_somebody_in_one_step(system: System, admin: Api, new: New) -> None:
    changed = change(admin, new.id, full_name="Hedy Lamarr", role="admin", is_active=False)
    assert (changed.status, changed.headers["etag"]) == (200, '"4"')
    assert shown(admin, changed, f"/users/{new.id}").body["role"] == "admin"
    assert login_status(system, new.email, PASSWORD) == 401
    page = admin.call("GET", f"/users?is_active=false&limit=1&min_version={quote(f'user#{new.id}@4')}")
    assert [user["id"] for user in page.body["items"]] == [new.id]  # the newest
    assert change(admin, new.id, is_active=True, role="user").status == 200
    assert login_status(system, new.email, PASSWORD) == 200


def test_the_last_active_admin_stays(system: System, admin: Api) -> None:
    me = admin.get("/users/me")["id"]
    others = [user["id"] for user in admin.all("/users?role=admin&is_active=true") if user["id"] != me]
    for other in others:
        assert change(admin, other, role="user").status == 200
    for refused in (change(admin, me, role="user"), change(admin, me, is_active=False)):
        assert (refused.status, refused.body["title"]) == (409, "Conflict")
    assert admin.call("DELETE", f"/users/{me}").status == 409
    assert system.log_in().get("/users/me")["role"] == "admin"


def test_a_deleted_user_is_gone_and_their_address_free(system: System, admin: Api, new: New) -> None:
    body = {"title": unique("task"), "description": "Something that has to be done.", "assigned_user_id": new.id}
    task = admin.call("POST", "/tasks", body)
    assert task.status == 201, task
    deleted = admin.call("DELETE", f"/users/{new.id}")
    assert (deleted.status, deleted.body) == (204, b"")
    assert shown(admin, deleted, f"/users/{new.id}").status == 404
    assert new.id not in {user["id"] for user in admin.all("/users?limit=200")}
    assert shown(admin, task, f"/tasks/{task.body['id']}").body["assigned_user"] == {"id": new.id, "name": "erased"}
    assert login_status(system, new.email, PASSWORD) == 401
    again = admin.call("POST", "/users", {"email": new.email, "full_name": new.name, "password": PASSWORD})
    assert again.status == 201
    assert again.body["id"] != new.id
