"""Configuration on the deployed system: an account is reached by its role, and every version of the config is kept."""

from typing import TYPE_CHECKING

from tests.e2e.account_role import make_role
from tests.e2e.system import unique

if TYPE_CHECKING:
    from tests.e2e.system import Api, System


def test_an_account_is_reached_by_its_role_and_only_with_its_external_id(system: "System", admin: "Api") -> None:
    account = system.client("sts").get_caller_identity()["Account"]
    name = unique("opsledger")
    body = {"account_id": account, "account_name": "This one", "region": system.client("sts").meta.region_name}
    answer = admin.call("POST", "/config/aws", {**body, "role_arn": f"arn:aws:iam::{account}:role/{name}"})
    assert answer.status == 201, answer
    path, external_id = f"/config/aws/{answer.body['id']}", answer.body["external_id"]
    assert make_role(system, name, external_id) == answer.body["role_arn"]

    tested = admin.call("POST", f"{path}/test")
    assert tested.status == 200, tested
    assert tested.body["connection"] == {"ok": True, "account": account, "fault": None}
    (shown,) = admin.get(f"/config/aws?min_version={tested.headers['Stream-Version'].replace('#', '%23')}")["items"]
    assert shown == tested.body["config"]
    assert shown["status"] == "active"

    stranger = make_role(system, unique("opsledger"), "of somebody else")
    assert admin.call("PUT", path, {"role_arn": stranger}).body["status"] == "deploying"
    refused = admin.call("POST", f"{path}/test")
    assert (refused.status, refused.body["config"]["status"]) == (200, "failed")
    assert "external id" in refused.body["connection"]["fault"]


def test_every_version_of_the_monitoring_config_can_be_read(admin: "Api") -> None:
    before = admin.call("GET", "/config/monitoring")
    changed = {**before.body, "global_settings": {**before.body["global_settings"], "timezone": "Europe/Berlin"}}
    answer = admin.call("PUT", "/config/monitoring", changed, if_match=before.headers["ETag"])
    assert answer.status == 200, answer
    assert admin.call("PUT", "/config/monitoring", changed, if_match=before.headers["ETag"]).status == 412

    now = admin.get(f"/config/monitoring?min_version={answer.headers['Stream-Version'].replace('#', '%23')}")
    assert now["global_settings"]["timezone"] == "Europe/Berlin"
    assert now["updated_by"]["name"] is not None
    assert admin.get(f"/config/monitoring?version={now['version']}") == now
    assert admin.get(f"/config/monitoring?as_of={now['updated_at']}") == now
    earlier = admin.get(f"/config/monitoring?version={before.body['version']}")
    assert earlier["global_settings"] == before.body["global_settings"]
