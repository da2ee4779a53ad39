"""Sessions on the deployed stack: going on, theft of a refresh token, and every way in which a session ends."""

from typing import Any

import jwt
import pytest

from tests.e2e.system import Answer, Api, System, unique, wait_for

STOPS_WITHIN = 60.0  # seconds; what is promised


class Someone:
    """Somebody with an account of their own, which these tests may spoil."""

    def __init__(self, system: System, admin: Api) -> None:
        self.api = system.api
        self.email, self.password = f"{unique('person')}@example.com", unique("correct horse battery")
        body = {"email": self.email, "full_name": "Grace Hopper", "role": "user", "password": self.password}
        answer = admin.call("POST", "/users", body)
        assert answer.status == 201, answer
        self.id = answer.body["id"]

    def log_in(self, password: str | None = None) -> Answer:
        body = {"email": self.email, "password": password or self.password}
        return self.api.call("POST", "/auth/login", body)

    def tokens(self) -> dict[str, Any]:
        """What a login gives."""
        answer = self.log_in()
        assert answer.status == 200, answer
        found: dict[str, Any] = answer.body
        return found

    def refresh(self, token: str) -> Answer:
        return self.api.call("POST", "/auth/refresh", {"refresh_token": token})


@pytest.fixture
def someone(system: System, admin: Api) -> Someone:
    return Someone(system, admin)


def history(system: System, tokens: dict[str, Any]) -> list[str]:
    """The events of a session's stream, as JSON."""
    sid = jwt.decode(tokens["access_token"], options={"verify_signature": False})["sid"]
    found = system.client("dynamodb").query(
        TableName=system.status.events_table,
        KeyConditionExpression="pk = :pk",
        ExpressionAttributeValues={":pk": {"S": f"session#{sid}"}},
    )
    return [item["e"]["S"] for item in found["Items"]]


def stops(api: Api, *tokens: dict[str, Any]) -> None:
    """Wait until the access tokens are refused on both sides, as long as is promised."""
    for given in tokens:
        caller = api.as_caller(given["access_token"])
        for method, path in (("GET", "/users/me"), ("POST", "/tasks")):
            wait_for(lambda: caller.call(method, path, None if method == "GET" else {}).status, _is_401, STOPS_WITHIN)  # noqa: B023


def _is_401(status: int) -> bool:
    return status == 401


def test_a_session_goes_on_and_a_lost_answer_is_given_again(someone: Someone) -> None:
    first = someone.tokens()
    second = someone.refresh(first["refresh_token"])
    assert second.status == 200, second
    assert someone.refresh(first["refresh_token"]).body == second.body
    assert someone.refresh(second.body["refresh_token"]).status == 200
    wait_for(lambda: someone.api.as_caller(second.body["access_token"]).call("GET", "/users/me").status == 200)


def test_a_logout_ends_both_tokens(system: System, someone: Someone) -> None:
    tokens, other = someone.tokens(), someone.tokens()
    assert someone.api.as_caller(tokens["access_token"]).call("POST", "/auth/logout").status == 204
    assert someone.refresh(tokens["refresh_token"]).status == 401
    stops(someone.api, tokens)
    assert '"logout"' in history(system, tokens)[-1]
    assert someone.refresh(other["refresh_token"]).status == 200


def test_deactivation_ends_every_session_by_itself(system: System, admin: Api, someone: Someone) -> None:
    tokens = [someone.tokens(), someone.tokens()]
    me = someone.api.as_caller(tokens[0]["access_token"])
    wait_for(lambda: me.call("GET", "/users/me").body.get("last_login"))  # both sessions are projected in order
    assert admin.call("PUT", f"/users/{someone.id}", {"is_active": False}).status == 200
    for given in tokens:
        wait_for(lambda given=given: history(system, given)[-1], lambda last: '"deactivated"' in last)  # type: ignore[misc]
        assert someone.refresh(given["refresh_token"]).status == 401
    stops(someone.api, *tokens)
    assert someone.log_in().status == 401
    assert admin.call("PUT", f"/users/{someone.id}", {"is_active": True}).status == 200
    assert someone.refresh(tokens[0]["refresh_token"]).status == 401
    assert someone.log_in().status == 200


def test_a_new_role_counts_with_the_next_refresh_and_the_old_token_stops(admin: Api, someone: Someone) -> None:
    tokens = someone.tokens()
    assert admin.call("PUT", f"/users/{someone.id}", {"role": "admin"}).status == 200
    fresh = someone.refresh(tokens["refresh_token"])
    assert someone.api.as_caller(fresh.body["access_token"]).call("GET", "/users").status == 200
    stops(someone.api, tokens)


def test_a_password_set_by_an_admin_opens_nothing_until_it_is_changed(admin: Api, someone: Someone) -> None:
    old = someone.tokens()
    path, handed_over, own = f"/users/{someone.id}/password", unique("handed over"), unique("my own horse")
    assert admin.call("PUT", path, {"new_password": handed_over}).status == 204
    assert someone.refresh(old["refresh_token"]).status == 401
    answer = someone.log_in(handed_over)
    assert (answer.status, answer.body["password_change_required"]) == (200, True)
    caller = someone.api.as_caller(answer.body["access_token"])
    wait_for(lambda: caller.call("GET", "/users/me").status, lambda status: status == 200)
    for route in ("/tasks", "/events", f"/users/{someone.id}"):
        refused = caller.call("GET", route)
        assert (refused.status, refused.body["detail"]) == (
            403,
            "Change your password first: PUT /users/{id}/password.",
        )
    assert caller.call("PUT", path, {"old_password": handed_over, "new_password": own}).status == 204
    changed = someone.log_in(own)
    assert (changed.status, changed.body["password_change_required"]) == (200, False)
    assert someone.api.as_caller(changed.body["access_token"]).call("GET", "/tasks").status == 200


def test_guessing_is_slowed_alike_whether_there_is_an_account_or_not(someone: Someone) -> None:
    for email in (someone.email, f"{unique('nobody')}@example.com"):
        answers = [
            someone.api.call("POST", "/auth/login", {"email": email, "password": "wrong horse battery staple"})
            for _ in range(7)
        ]
        assert [answer.status for answer in answers][:5] == [401] * 5
        last = answers[-1]
        assert (last.status, last.body["title"]) == (429, "Too many requests")
        assert 0 < int(last.headers["retry-after"]) <= 20


def test_a_stolen_refresh_token_ends_the_session_for_both(system: System, someone: Someone) -> None:
    stolen = someone.tokens()
    kept = someone.refresh(stolen["refresh_token"]).body
    # The owner goes on until the token that was stolen has been spent for longer than a lost answer may take.
    last = wait_for(
        lambda: (kept, someone.refresh(stolen["refresh_token"])),
        lambda seen: seen[1].status == 401,
        deadline=20,
    )
    assert "session.revoked" in history(system, kept)[-1]
    assert someone.refresh(last[0]["refresh_token"]).status == 401
    stops(someone.api, kept, stolen)
