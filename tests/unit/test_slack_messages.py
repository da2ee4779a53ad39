"""What a person sees on Slack, and what a stranger's text cannot do there.

`UPDATE_SNAPSHOTS=1` writes the messages under `snapshots/slack` anew; read the difference before committing it.
"""

import difflib
import html
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.sources.mapping import MappedEvent, State
from infra import slack_messages
from infra.slack_messages import CUT, RESOLVED, SEVERITIES, SOURCES, RenderError, preview, render

ROOT = Path(slack_messages.__file__).resolve().parent.parent
SNAPSHOTS = Path(__file__).parent / "snapshots" / "slack"
EVENT_ID = "1765432100-5f0c7ab2-2b1d-5c7e-9d43-1b6a6f2f9c10"
PUBLISHED_AT = 1765432100

EVENTS = {
    "aws.cloudwatch": MappedEvent(
        source="aws.cloudwatch",
        detail_type="CloudWatch Alarm State Change",
        account="111122223333",
        region="eu-central-1",
        title="checkout-api-5xx: Threshold Crossed: 3 out of the last 3 datapoints [12.0, 15.0, 31.0] were greater "
        "than or equal to the threshold (5.0).",
        text="Threshold Crossed: 3 out of the last 3 datapoints [12.0, 15.0, 31.0] were greater than or equal to the "
        "threshold (5.0).",
        resource="ApiName=checkout, Stage=live",
        resources=("arn:aws:cloudwatch:eu-central-1:111122223333:alarm:checkout-api-5xx",),
        severity=3,
        state=State.OPEN,
        status="ALARM",
        fingerprint="arn:aws:cloudwatch:eu-central-1:111122223333:alarm:checkout-api-5xx",
        order=PUBLISHED_AT * 1000,
        console_url="https://console.aws.amazon.com/cloudwatch/home?region=eu-central-1#alarmsV2:alarm/checkout-api-5xx",
    ),
    "aws.guardduty": MappedEvent(
        source="aws.guardduty",
        detail_type="GuardDuty Finding",
        account="444455556666",
        region="us-east-1",
        title="EC2 instance i-0abc1234def567890 is querying a domain name of a Bitcoin-related activity.",
        text="EC2 instance i-0abc1234def567890 is querying a domain name that is associated with cryptocurrency.",
        resource="i-0abc1234def567890",
        severity=4,
        state=State.OPEN,
        status="active",
        fingerprint="arn:aws:guardduty:us-east-1:444455556666:detector/12ab/finding/34cd",
        order=PUBLISHED_AT * 1000,
        console_url="https://console.aws.amazon.com/guardduty/home?region=us-east-1#/findings?search=id%3D34cd",
    ),
    "aws.health": MappedEvent(
        source="aws.health",
        detail_type="AWS Health Event",
        account="111122223333",
        region="eu-west-1",
        title="EC2 AWS_EC2_PERSISTENT_INSTANCE_RETIREMENT_SCHEDULED",
        text="EC2 has detected degradation of the hardware that hosts your instances.\n\nWhat to do: stop and start "
        "them before the retirement date.",
        resource="i-00000000000000000",
        resources=tuple(f"i-{n:017d}" for n in range(12)),
        severity=2,
        state=State.OPEN,
        status="upcoming",
        fingerprint="arn:aws:health:eu-west-1::event/EC2/RETIREMENT/1#111122223333",
        order=PUBLISHED_AT * 1000,
        console_url="https://health.aws.amazon.com/health/home#/account/event-log?eventID=arn:aws:health:eu-west-1::"
        "event/EC2/RETIREMENT/1",
    ),
    "aws.cloudformation": MappedEvent(
        source="aws.cloudformation",
        detail_type="CloudFormation Stack Status Change",
        account="111122223333",
        region="eu-central-1",
        title="checkout UPDATE_ROLLBACK_FAILED: The following resource(s) failed to update: [OrdersTable].",
        text="The following resource(s) failed to update: [OrdersTable].",
        resource="arn:aws:cloudformation:eu-central-1:111122223333:stack/checkout/6a1b2c3d-0000-11f0-8888-0a1b2c3d4e5f",
        severity=4,
        state=State.OPEN,
        status="UPDATE_ROLLBACK_FAILED",
        fingerprint="arn:aws:cloudformation:eu-central-1:111122223333:stack/checkout/6a1b2c3d",
        order=PUBLISHED_AT * 1000,
        console_url="https://console.aws.amazon.com/cloudformation/home?region=eu-central-1#/stacks/stackinfo?stackId="
        "arn:aws:cloudformation:eu-central-1:111122223333:stack/checkout/6a1b2c3d-0000-11f0-8888-0a1b2c3d4e5f",
    ),
    "monitoring.agent": MappedEvent(
        source="monitoring.agent",
        detail_type="Log Error Found",
        account="111122223333",
        region="eu-central-1",
        title='checkout: KeyError: "customer_id"',
        text='KeyError: "customer_id"\n  File "/var/task/orders.py", line 42, in place\n    order[`customer_id`] <br>'
        "\n\nFound 17 times.",
        resource="/aws/lambda/checkout",
        resources=("/aws/lambda/checkout", "2025/12/11/[$LATEST]0f3d5c"),
        severity=3,
        state=State.OPEN,
        fingerprint="/aws/lambda/checkout#KeyError",
        order=PUBLISHED_AT * 1000,
        console_url="https://console.aws.amazon.com/cloudwatch/home?region=eu-central-1#logsV2:log-groups/log-group/"
        "$252Faws$252Flambda$252Fcheckout",
    ),
    "generic": MappedEvent(
        source="aws.glue",
        detail_type="Glue Job State Change",
        account="111122223333",
        region="eu-central-1",
        title="Glue Job State Change",
        resource="nightly-export",
        severity=0,
        state=State.EVENT,
        status="FAILED",
        fingerprint="111122223333#aws.glue#Glue Job State Change#nightly-export",
        order=PUBLISHED_AT * 1000,
    ),
}
RESOLVED_ALARM = EVENTS["aws.cloudwatch"].model_copy(
    update={
        "title": "checkout-api-5xx: Threshold Crossed: 3 datapoints were not greater than the threshold (5.0).",
        "text": "Threshold Crossed: 3 datapoints were not greater than the threshold (5.0).",
        "severity": 0,
        "state": State.RESOLVED,
        "status": "OK",
    }
)
NOT_UNDERSTOOD = EVENTS["aws.guardduty"].model_copy(
    update={
        "title": "GuardDuty Finding",
        "text": None,
        "severity": 0,
        "state": State.EVENT,
        "status": None,
        "console_url": None,
        "unmapped": ("taken as generic: detail.title is missing",),
    }
)
SNAPSHOT_EVENTS = EVENTS | {"resolved": RESOLVED_ALARM, "not-understood": NOT_UNDERSTOOD}

every_source = pytest.mark.parametrize("source", EVENTS)
NASTY = {
    "mention": "<!channel> <@U024BE7LH> <#C024BE7LR> @here",
    "link": "<https://evil.example|Open in the AWS console>",
    "date": "<!date^0^{date}|never>",
    "escapes": "a &amp; b &lt;!channel&gt; & c",
    "back-ticks": "```rm -rf``` and `this`",
    "formatting": "*bold* _italic_ ~struck~ > quoted :skull:",
    "quotes": '"}]} \\" \\u0022 \\',
    "template": "{{ event }} {% raw %} {# gone #}",
    "right-to-left": "\u202egnp.exe \u200f\u05e9\u05dc\u05d5\u05dd\u2069",
    "astral": "\U0001f469\u200d\U0001f4bb \U0001f9e8",
    "line separators": "one\u2028two\u2029three",
}


def message_of(event: MappedEvent, event_id: str = EVENT_ID) -> dict[str, Any]:
    return render(event, event_id=event_id, published_at=PUBLISHED_AT)


def about(name: str, /, **fields: Any) -> MappedEvent:
    return EVENTS[name].model_copy(update=fields)


def blocks_of(message: dict[str, Any]) -> list[dict[str, Any]]:
    return [*message["blocks"], *message["attachments"][0]["blocks"]]


def text_objects(message: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for block in blocks_of(message):
        yield from block.get("fields", [])
        yield from block.get("elements", [])
        if "text" in block:
            yield block["text"]


def facts_of(message: dict[str, Any]) -> dict[str, str]:
    fields = [field["text"] for block in message["blocks"] for field in block.get("fields", [])]
    return {label.strip("*"): value for label, value in zip(fields[::2], fields[1::2], strict=True)}


def header_of(message: dict[str, Any]) -> str:
    header: str = message["blocks"][0]["text"]["text"]
    return header


def values_of(message: dict[str, Any]) -> list[str]:
    return [message["text"], *(text["text"] for text in text_objects(message))]


def units(text: str) -> int:
    return len(text.encode("utf-16-le")) // 2


def assert_slack_takes(message: dict[str, Any]) -> None:
    """Slack's limits and its rules for the three characters; what is not escaped is markup of ours."""
    json.dumps(message, ensure_ascii=False).encode()
    assert set(message) == {"text", "blocks", "attachments"}
    assert 1 <= units(message["text"]) <= 4000
    assert len(blocks_of(message)) <= 50
    for block in blocks_of(message):
        assert block["type"] in {"header", "section", "context"}
        assert len(block.get("fields", [])) <= 10
        assert all(units(field["text"]) <= 2000 for field in block.get("fields", []))
        assert len(block.get("elements", [])) <= 10
        if block["type"] == "header":
            assert units(block["text"]["text"]) <= 150
    for text in text_objects(message):
        assert 1 <= units(text["text"]) <= 3000
        assert text["text"].strip()
        if text["type"] == "plain_text":
            assert_escaped(text["text"])
            assert text["emoji"] is False
        else:
            assert text["verbatim"] is True
            assert_ours(text["text"])
    assert_escaped(message["text"])


def assert_escaped(text: str) -> None:
    assert "<" not in text
    assert ">" not in text
    rest = text.replace("&amp;", "").replace("&lt;", "").replace("&gt;", "")
    assert "&" not in rest, f"a bare or halved escape in {text!r}"


def assert_ours(text: str) -> None:
    """A label, a date or a link to AWS: nothing else may be formatted."""
    if text.startswith("*"):
        assert text.strip("*").replace(" ", "").isalpha()
    elif text.startswith("<!date^"):
        assert text == f"<!date^{PUBLISHED_AT}^{{date_short_pretty}} {{time_secs}}|2025-12-11 05:48:20 UTC>"
    else:
        assert text.startswith("<https://")
        url, label = text[1:-1].split("|")
        assert label == "Open in the AWS console"
        assert url.split("/")[2].endswith("aws.amazon.com")
        assert_escaped(url)


# What a message says


@pytest.mark.parametrize("name", SNAPSHOT_EVENTS)
def test_the_message_is_the_one_that_was_approved(name: str) -> None:
    message = message_of(SNAPSHOT_EVENTS[name])
    assert_slack_takes(message)
    path = SNAPSHOTS / f"{name}.json"
    now = json.dumps(message, indent=2, ensure_ascii=False) + "\n"
    if os.environ.get("UPDATE_SNAPSHOTS") == "1":
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(now, encoding="utf-8")
    approved = path.read_text(encoding="utf-8") if path.exists() else ""
    if now != approved:
        difference = difflib.unified_diff(approved.splitlines(), now.splitlines(), "approved", "now", lineterm="")
        renew = "UPDATE_SNAPSHOTS=1 pytest tests/unit/test_slack_messages.py"
        pytest.fail(f"{path.name} differs; if it should, `{renew}`\n" + "\n".join(difference), pytrace=False)


def test_no_snapshot_is_left_over() -> None:
    assert {path.stem for path in SNAPSHOTS.iterdir()} == set(SNAPSHOT_EVENTS)


def test_every_source_with_a_template_has_one_and_no_template_is_left_over() -> None:
    files = {path.name.removesuffix(".json.j2") for path in slack_messages.TEMPLATES.iterdir()}
    assert files == SOURCES | {"generic", "_layout"}
    assert set(EVENTS) == SOURCES | {"generic"}


@every_source
def test_a_message_says_what_where_when_how_bad_and_where_to_look(source: str) -> None:
    event = EVENTS[source]
    message = message_of(event)
    shown = preview(message)
    mark = SEVERITIES[event.severity]
    assert header_of(message).removesuffix(CUT) in f"{mark.emoji} {event.title}"
    assert message["text"].startswith(f"{mark.emoji} {mark.word.capitalize()}: {event.title}\n")
    assert message["attachments"][0]["color"] == mark.colour
    assert f"Severity: {mark.word} ({event.severity} of 5)" in shown
    assert f"opsledger event {EVENT_ID}" in shown
    for part in (
        event.account,
        event.region,
        event.resource,
        event.detail_type,
        "2025-12-11 05:48:20 UTC",
    ):
        assert part
        assert part in shown
    assert event.status is None or event.status in shown
    assert event.text is None or event.text in shown
    assert event.console_url is None or f"Open in the AWS console: {event.console_url}" in shown


def test_a_resolved_problem_does_not_look_like_an_open_one() -> None:
    message = message_of(RESOLVED_ALARM)
    assert header_of(message).startswith(RESOLVED.emoji)
    assert message["attachments"][0]["color"] == RESOLVED.colour


def test_severities_differ_in_word_emoji_and_colour() -> None:
    assert [mark.word for mark in SEVERITIES] == ["info", "low", "medium", "high", "critical", "emergency"]
    for column in zip(*SEVERITIES, strict=True):
        assert len(set(column)) == 6


def test_an_event_that_was_not_understood_says_why() -> None:
    assert "Not as expected: taken as generic: detail.title is missing" in preview(message_of(NOT_UNDERSTOOD))


def test_a_long_list_of_resources_says_how_many_it_leaves_out() -> None:
    shown = preview(message_of(EVENTS["aws.health"]))
    assert "Affected (12)\ni-00000000000000000\n" in shown
    assert "i-00000000000000009\n… and 2 more" in shown


@every_source
def test_what_is_not_known_is_left_out(source: str) -> None:
    blank = about(source, title=" ", text="\n", account=None, region=None, resource="", status="\u200b", resources=())
    message = message_of(blank.model_copy(update={"console_url": None}))
    assert_slack_takes(message)
    assert header_of(message) == f"{SEVERITIES[blank.severity].emoji} {blank.detail_type}"
    assert set(facts_of(message)) <= {"When", "Source", "Detail type"}
    assert "None" not in json.dumps(message)


def test_a_source_is_never_taken_for_a_file_name() -> None:
    message = message_of(about("generic", source="../slack/_layout"))
    assert facts_of(message)["Source"] == "../slack/_layout"


# What a stranger's text cannot do


def with_text_everywhere(source: str, text: str) -> MappedEvent:
    return about(
        source,
        source=text if source == "generic" else source,
        detail_type=text,
        account=text,
        region=text,
        title=text,
        text=f"{text}.",
        resource=text,
        resources=(text, text),
        status=text,
        console_url=text,
        unmapped=(text,),
    )


@every_source
@pytest.mark.parametrize("nasty", NASTY.values(), ids=NASTY)
def test_nasty_text_arrives_as_plain_text(source: str, nasty: str) -> None:
    message = message_of(with_text_everywhere(source, nasty), event_id=nasty)
    assert_slack_takes(message)
    escaped = html.escape(nasty, quote=False)
    assert facts_of(message)["Account"] == escaped
    assert f"{escaped}." in values_of(message)
    assert f"opsledger event {escaped}" in values_of(message)
    assert header_of(message).endswith(" ".join(escaped.split()))
    assert f"{nasty}." in preview(message)


@pytest.mark.parametrize(
    ("hostile", "harmless"),
    [
        ("a\x00b", "a\ufffdb"),
        ("a\ud800b", "a\ufffdb"),
        ("\x1b[2J\x9b31mred", "\ufffd[2J\ufffd31mred"),
        ("one\r\ntwo\rthree\n\tfour", "one\ntwo\nthree\n\tfour"),
    ],
)
def test_what_no_screen_should_obey_is_replaced(hostile: str, harmless: str) -> None:
    message = message_of(with_text_everywhere("monitoring.agent", hostile), event_id=hostile)
    assert_slack_takes(message)
    assert facts_of(message)["Account"] == harmless
    assert f"{harmless}." in values_of(message)


@pytest.mark.parametrize("character", ["x", "&", "<", "\U0001f9e8", "\u202e", "\n", "a b "])
@every_source
def test_text_without_end_is_cut_and_says_so(source: str, character: str) -> None:
    message = message_of(with_text_everywhere(source, f"z{character * 50_000}z"), event_id=character * 50_000)
    assert_slack_takes(message)
    explanation = max((text["text"] for text in text_objects(message)), key=units)
    assert explanation.endswith(CUT)
    assert 2990 <= units(explanation) <= 3000
    assert all(value.endswith(CUT) for label, value in facts_of(message).items() if label in {"Account", "Region"})


@pytest.mark.parametrize("escape", ["&amp;", "&lt;"])
def test_a_cut_never_halves_an_escape(escape: str) -> None:
    for before in range(12):
        text = "x" * before + html.unescape(escape) * 1000
        message = message_of(about("generic", text=text))
        assert_slack_takes(message)
        (explanation,) = (value for value in values_of(message) if value.endswith(CUT))
        assert explanation.removesuffix(CUT).endswith(escape)


def test_text_that_just_fits_is_not_cut() -> None:
    assert "&amp;" * 600 in values_of(message_of(about("generic", text="&" * 600)))
    assert not any(CUT in value for value in values_of(message_of(about("generic", text="x" * 3000))))
    assert any(CUT in value for value in values_of(message_of(about("generic", text="x" * 3001))))


def test_a_title_too_long_for_the_header_stands_whole_below_it() -> None:
    title = "x" * 300
    message = message_of(about("generic", title=title))
    assert header_of(message).endswith(CUT)
    assert message["blocks"][1]["text"]["text"] == title


def test_a_title_that_ends_as_the_explanation_does_is_not_said_three_times() -> None:
    reason = "Threshold Crossed: " + "1.0, " * 60
    message = message_of(about("aws.cloudwatch", title=f"{f'orders: {reason}'[:299]}…", text=reason))
    assert header_of(message).endswith(CUT)
    assert "fields" in message["blocks"][1]
    assert reason in values_of(message)


@pytest.mark.parametrize("length", [20, 200])
def test_a_title_that_is_the_explanation_is_said_once(length: int) -> None:
    text = "x" * length
    message = message_of(about("generic", title=text, text=text))
    assert [value for value in values_of(message)[1:] if text in value] == [
        text if length > 150 else f"{SEVERITIES[0].emoji} {text}"
    ]


@pytest.mark.parametrize(
    "url",
    [
        "https://evil.example/console.aws.amazon.com",
        "https://console.aws.amazon.com.evil.example/",
        "https://evilaws.amazon.com/",
        "https://console.aws.amazon.com@evil.example/",
        "https://console.aws.amazon.com:x@evil.example/",
        "https://evil.example\\.aws.amazon.com/",
        "https://evil.example\n.aws.amazon.com/",
        "http://console.aws.amazon.com/",
        "javascript:alert(1)//https://console.aws.amazon.com/",
        "https://console.aws.amazon.com/" + "x" * 3000,
    ],
)
def test_an_address_that_is_not_an_aws_page_is_text_and_no_link(url: str) -> None:
    message = message_of(about("aws.guardduty", console_url=url))
    assert_slack_takes(message)
    assert "Open in the AWS console" not in preview(message)
    assert facts_of(message)["Link"][:1900] == url[:1900]


@pytest.mark.parametrize(
    ("url", "linked"),
    [
        ("https://console.aws.amazon.com/x?a=1&b=2", "https://console.aws.amazon.com/x?a=1&amp;b=2"),
        ("https://console.aws.amazon.com/x|y> <z", "https://console.aws.amazon.com/x%7Cy%3E%20%3Cz"),
        ("https://console.aws.amazon.com/#s?q=id%3D1", "https://console.aws.amazon.com/#s?q=id%3D1"),
        ("https://eu-west-1.console.aws.amazon.com/ä*", "https://eu-west-1.console.aws.amazon.com/%C3%A4*"),
        ("https://console.aws.amazon.com/\ud800\n", "https://console.aws.amazon.com/%EF%BF%BD%0A"),
    ],
)
def test_an_address_cannot_leave_its_link(url: str, linked: str) -> None:
    message = message_of(about("aws.guardduty", console_url=url))
    assert_slack_takes(message)
    assert f"<{linked}|Open in the AWS console>" in values_of(message)
    assert f"Open in the AWS console: {html.unescape(linked)}" in preview(message)


shown_text = st.text(st.characters(exclude_categories=["Cc", "Cs"])).filter(lambda text: text.strip())
any_text = st.text(st.characters(exclude_categories=[])) | st.sampled_from(list(NASTY.values()))
names_of_fields = st.sampled_from(["account", "region", "status", "resource", "text", "title", "detail_type"])


@given(
    source=st.sampled_from(list(EVENTS)),
    fields=st.dictionaries(names_of_fields, any_text),
    resources=st.lists(any_text).map(tuple),
    console_url=st.none() | any_text | any_text.map("https://console.aws.amazon.com/".__add__),
    severity=st.integers(0, 5),
    state=st.sampled_from(State),
)
def test_whatever_is_in_an_event_slack_takes_the_message(source: str, fields: dict[str, str], **others: Any) -> None:
    assert_slack_takes(message_of(about(source, **fields, **others)))


@given(source=st.sampled_from(list(EVENTS)), field=names_of_fields, text=shown_text)
def test_any_text_in_any_field_is_shown_as_it_is(source: str, field: str, text: str) -> None:
    message = message_of(about(source, **{field: text}))
    expected = html.escape(text, quote=False)
    if any(c.isprintable() and not c.isspace() for c in text):
        needle = " ".join(expected.split()) if field == "title" else expected
        assert any(needle in value for value in values_of(message))
        assert (" ".join(text.split()) if field == "title" else text) in preview(message).replace("\n" + " " * 18, "\n")


# When a template is wrong, and where it is found


@pytest.fixture
def templates(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setattr(slack_messages, "TEMPLATES", tmp_path)
    slack_messages._environment.cache_clear()
    yield tmp_path
    slack_messages._environment.cache_clear()


@pytest.mark.parametrize(
    ("template", "reason"),
    [
        ('{"text": "{{ event.titel }}"}', "UndefinedError"),
        ('{"text": "{{ event.text }}"}', "TypeError: a value that is None was printed"),
        ('{"text": "{% if %}"}', "TemplateSyntaxError"),
        ('{"text": {{ event.title }}}', "JSONDecodeError"),
        (None, "TemplateNotFound"),
    ],
)
def test_a_template_that_fails_is_named(templates: Path, template: str | None, reason: str) -> None:
    if template is not None:
        (templates / "generic.json.j2").write_text(template)
    with pytest.raises(RenderError, match=rf"^templates/slack/generic\.json\.j2: {reason}"):
        message_of(EVENTS["generic"])


def test_a_print_is_escaped_whatever_the_template_forgets(templates: Path) -> None:
    (templates / "generic.json.j2").write_text(
        '{"text": "{{ event.title }}{{ "<!here> " ~ (event.title | cut(99)) }}"}'
    )
    title = '<!channel> & "},{'
    escaped = html.escape(title, quote=False)
    assert message_of(about("generic", title=title)) == {
        "text": f"{escaped}&lt;!here&gt; {html.escape(escaped, quote=False)}"  # twice, where it was joined: safe
    }


def test_templates_are_found_in_the_unpacked_artifact_and_jinja_is_loaded_only_to_render(tmp_path: Path) -> None:
    for package in ("domain", "infra", "templates"):
        shutil.copytree(ROOT / package, tmp_path / "task" / package)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    program = f"""
import sys
from domain.sources.mapping import MappedEvent
from infra.slack_messages import render
assert "jinja2" not in sys.modules
event = MappedEvent.model_validate_json({EVENTS["generic"].model_dump_json()!r})
print(render(event, event_id="1-2", published_at=1)["text"])
"""
    printed = subprocess.run(
        [sys.executable, "-B", "-c", program],
        cwd=elsewhere,
        env={"PYTHONPATH": str(tmp_path / "task"), "PYTHONIOENCODING": "utf-8"},
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=True,
    ).stdout
    assert "Info: Glue Job State Change" in printed
