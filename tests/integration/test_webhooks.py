"""Where messages may go, and that nobody is told of it: a webhook is in no row and no log."""

import json
import logging
import traceback
from collections.abc import Callable
from typing import Any

import pytest

from infra import webhooks
from infra.outbox import Status
from tests.integration.sending import PATH, Desk, Respond, Slack, answering, breaking_off, hanging

# ---- where messages may go


def test_the_loopback_address_is_for_the_local_stage_only(
    desk: Desk, slack: Slack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALLOW_LOOPBACK_WEBHOOKS", "no")

    assert desk.deliver(desk.received()) == []

    assert slack.posted == []
    assert (desk.row().status, desk.row().error) == (Status.FAILED, "the webhook must be https to hooks.slack.com")


ALLOWED = {"hooks.slack.com", "hooks.slack-gov.com"}


@pytest.mark.parametrize(
    "url",
    [
        "https://hooks.slack.com/services/T/B/x",
        "https://hooks.slack.com:443/services/T/B/x",
        "https://HOOKS.slack.com/services/T/B/x",
        "https://hooks.slack-gov.com/services/T/B/x?y=z",
    ],
)
def test_webhooks_that_may_be_posted_to(url: str) -> None:
    assert webhooks.fault(url, ALLOWED, allow_loopback=False) is None
    assert webhooks.fault(url, ALLOWED, allow_loopback=True) is None


@pytest.mark.parametrize(
    "url",
    [
        "",
        "keep-this-secret",
        "http://hooks.slack.com/keep-this-secret",
        "ftp://hooks.slack.com/keep-this-secret",
        "file:///keep-this-secret",
        "//hooks.slack.com/keep-this-secret",
        "https:/hooks.slack.com/keep-this-secret",
        "https://slack.com/keep-this-secret",
        "https://hooks.slack.com.example.com/keep-this-secret",
        "https://evil-hooks.slack.com/keep-this-secret",
        "https://x.hooks.slack.com/keep-this-secret",
        "https://hooks.slack.com./keep-this-secret",
        "https://hooks.slack.com:8443/keep-this-secret",
        "https://hooks.slack.com:80/keep-this-secret",
        "https://hooks.slack.com:0/keep-this-secret",
        "https://hooks.slack.com:99999/keep-this-secret",
        "https://hooks.slack.com:x/keep-this-secret",
        "https://hooks.slack.com@example.com/keep-this-secret",
        "https://keep-this-secret@hooks.slack.com/",
        "https://user:keep-this-secret@hooks.slack.com/",
        "https://@hooks.slack.com/keep-this-secret",
        "https://example.com\\@hooks.slack.com/keep-this-secret",
        "https://example.com#@hooks.slack.com/keep-this-secret",
        "https://[::1/keep-this-secret",
        "https://169.254.169.254/keep-this-secret",
        "http://127.0.0.2/keep-this-secret",
        "http://127.1/keep-this-secret",
        "http://2130706433/keep-this-secret",
        "http://localhost.example.com/keep-this-secret",
        "http://user:keep-this-secret@localhost/",
        "ftp://localhost/keep-this-secret",
    ],
)
def test_webhooks_that_may_not_be_posted_to_and_are_not_shown(url: str) -> None:
    for allow_loopback in (False, True):
        fault = webhooks.fault(url, ALLOWED, allow_loopback=allow_loopback)
        assert fault
        assert "keep-this-secret" not in fault


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:9/x", "http://localhost/x", "https://localhost:8443/x", "http://[::1]:1/x"]
)
def test_the_loopback_address_may_be_posted_to_when_allowed(url: str) -> None:
    assert webhooks.fault(url, ALLOWED, allow_loopback=True) is None
    assert webhooks.fault(url, ALLOWED, allow_loopback=False) == (
        "the webhook must be https to hooks.slack-gov.com or hooks.slack.com"
    )


# ---- what is told of it


@pytest.mark.parametrize(
    "response",
    [
        answering(200),
        answering(404),
        answering(500),
        answering(302, Location=f"http://127.0.0.1:9{PATH}"),
        answering(429, Retry_After="9" * 5_000),
        breaking_off(b""),
        hanging,
    ],
    ids=["200", "404", "500", "302", "429", "broken off", "hanging"],
)
def test_the_webhook_is_in_no_row_and_no_log(
    desk: Desk,
    slack: Slack,
    outbox_items: Any,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    *,
    response: Respond,
) -> None:
    monkeypatch.setattr(webhooks, "SLACK_TIMEOUT_SECONDS", 0.1)
    slack.responses = [response]
    log_everything(caplog)

    desk.deliver(desk.received())

    assert [path for path, _ in slack.posted] == [PATH]
    assert "handled" in logged(caplog)
    for written in (logged(caplog), json.dumps(outbox_items())):
        assert "keep-this-secret" not in written
        assert f":{slack.server_port}/" not in written


@pytest.mark.parametrize(
    "secret",
    [
        PATH,
        json.dumps([PATH]),
        json.dumps({"default": [PATH]}),
        json.dumps({"default": f"http://[{PATH}"}),
        json.dumps({"default": f"http://user:{PATH}@127.0.0.1/"}),
        json.dumps({"default": f"https://example.com{PATH}"}),
        json.dumps({"default": f"http://127.0.0.1:0{PATH}"}),
        json.dumps({"default": f" \thttp://127.0.0.1:9{PATH}\n"}),
        json.dumps({"default": f"http://127.0.0.1:9{PATH}\r\nX: y"}),
        json.dumps({"default": f"http://127.0.0.1:9{PATH}\ud800"}),
    ],
)
def test_a_secret_that_is_no_webhook_is_in_no_row_and_no_log(
    desk: Desk,
    slack_secret: Callable[[str], None],
    outbox_items: Any,
    caplog: pytest.LogCaptureFixture,
    *,
    secret: str,
) -> None:
    slack_secret(secret)
    log_everything(caplog)

    desk.deliver(desk.received())

    assert desk.row().status != Status.SENT
    assert "handled" in logged(caplog)
    for written in (logged(caplog), json.dumps(outbox_items())):
        assert "keep-this-secret" not in written


def log_everything(caplog: pytest.LogCaptureFixture) -> None:
    """At DEBUG, but for botocore: it writes whole answers then, and nothing turns that on."""
    caplog.set_level(logging.INFO, logger="botocore")
    caplog.set_level(logging.DEBUG)  # the last one's level is the capturing handler's too
    logging.getLogger("another library").debug("at DEBUG")
    assert "at DEBUG" in logged(caplog)


def logged(caplog: pytest.LogCaptureFixture) -> str:
    """Everything that was logged, with what was attached to it."""
    lines = []
    for entry in caplog.records:
        lines.append(f"{entry.getMessage()} {vars(entry)}")
        if entry.exc_info:
            lines.extend(traceback.format_exception(entry.exc_info[1]))
    return "\n".join(lines)
