"""What a stranger's text cannot do on Slack, whatever it holds and wherever it stands; and broken templates."""

import html
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.monitoring_rules import TaskChange
from domain.sources.mapping import State
from domain.tasks import Priority, Status
from domain.told import AlertNews, AlertTold, TaskTold
from infra import slack_messages
from infra.slack_messages import RenderError, render_alert, render_group, render_task, say_late, text_objects
from infra.slack_preview import preview
from infra.slack_text import CUT
from tests.unit.slack.told import (
    EVENTS,
    PUBLISHED_AT,
    about,
    alert,
    assert_escaped,
    assert_slack_takes,
    facts_of,
    header_of,
    task,
    units,
    values_of,
)

ROOT = Path(slack_messages.__file__).resolve().parent.parent

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


def with_text_everywhere(source: str, text: str) -> AlertTold:
    event = about(
        source,
        source=text if source == "generic" else source,
        detail_type=text,
        account=text,
        region=text,
        title=text,
        text=f"{text}.",
        resource=text,
        resources=(text, f"{text}!"),
        status=text,
        console_url=text,
        unmapped=(text,),
    )
    return alert(event, event_id=text, alert_id=text, account_name=None)


def task_with_text_everywhere(text: str) -> TaskTold:
    ids = dict.fromkeys(("task_id", "alert_id", "event_id"), text)
    return task(TaskChange.COMMENTED, title=text, comment=f"{text}.", account_name=text, **ids)


@every_source
@pytest.mark.parametrize("nasty", NASTY.values(), ids=NASTY)
def test_nasty_text_arrives_as_plain_text(source: str, nasty: str) -> None:
    message = render_alert(with_text_everywhere(source, nasty))
    assert_slack_takes(message)
    escaped = html.escape(nasty, quote=False)
    assert facts_of(message)["Account"] == escaped
    assert f"{escaped}." in values_of(message)
    assert f"event {escaped}" in values_of(message)
    assert header_of(message).endswith(" ".join(escaped.split()))
    assert f"{nasty}." in preview(message)


@pytest.mark.parametrize("nasty", NASTY.values(), ids=NASTY)
def test_nasty_text_of_people_arrives_as_plain_text(nasty: str) -> None:
    message = render_task(task_with_text_everywhere(nasty))
    assert_slack_takes(message)
    escaped = html.escape(nasty, quote=False)
    assert facts_of(message)["Account"] == escaped
    assert f"{escaped}." in values_of(message)
    assert header_of(message).endswith(" ".join(escaped.split()))


@pytest.mark.parametrize("nasty", NASTY.values(), ids=NASTY)
def test_nasty_text_in_groups_arrives_as_plain_text(nasty: str) -> None:
    told = with_text_everywhere("aws.rds", nasty)
    message = render_group([told, task_with_text_everywhere(nasty), told])
    assert_slack_takes(message)
    escaped = " ".join(html.escape(nasty, quote=False).split())
    lines = [block["text"]["text"] for block in message["blocks"][1:]]
    assert [line.split("\n")[1] for line in lines] == [f"{escaped} · {escaped}", escaped, f"{escaped} · {escaped}"]


@pytest.mark.parametrize("mark", ["\u202e", "\u2067", "\u200f"])
def test_marks_that_turn_the_direction_turn_no_word_of_ours(mark: str) -> None:
    told = [with_text_everywhere("aws.rds", f"{mark}evil"), task_with_text_everywhere(f"{mark}evil")]
    messages = [render_alert(told[0]), render_task(told[1]), render_group(told)]  # type: ignore[arg-type]
    for message in messages:
        for text in text_objects(message):
            for line in text["text"].splitlines():
                ours, turned, rest = line.partition(mark)
                assert not turned or set(rest.replace(mark, "")) <= set("evil.!· ;")
                assert "evil" not in ours


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
    message = render_alert(with_text_everywhere("monitoring.agent", hostile))
    assert_slack_takes(message)
    assert facts_of(message)["Account"] == harmless
    # Of the explanation, the lines that the title says already are left out.
    assert f"{harmless}.".splitlines()[-1] in values_of(message)


@pytest.mark.parametrize("character", ["x", "&", "<", "\U0001f9e8", "\u202e", "\n", "a b "])
@every_source
def test_text_without_end_is_cut_and_says_so(source: str, character: str) -> None:
    message = render_alert(with_text_everywhere(source, f"z{character * 50_000}z"))
    assert_slack_takes(message)
    explanation = max((text["text"] for text in text_objects(message)), key=units)
    assert explanation.endswith(CUT)
    assert units(explanation) > 500
    assert all(value.endswith(CUT) for label, value in facts_of(message).items() if label in {"Account", "Region"})


@pytest.mark.parametrize("character", ["x", "&", "\U0001f9e8", "\u202e", "\n"])
def test_a_tasks_text_without_end_is_cut_and_says_so(character: str) -> None:
    text = f"z{character * 50_000}z"
    message = render_task(task_with_text_everywhere(text))
    assert_slack_takes(message)
    assert facts_of(message)["Account"].endswith(CUT)
    group = render_group([with_text_everywhere("aws.rds", text), task_with_text_everywhere(text)] * 250)
    assert_slack_takes(group)


def test_a_message_that_is_full_has_room_to_say_that_it_is_late() -> None:
    for full in (
        render_alert(with_text_everywhere("aws.rds", "x" * 50_000)),
        render_group([with_text_everywhere("aws.rds", "x" * 150)] * 100),
    ):
        say_late(full, PUBLISHED_AT, "Europe/Berlin")
        assert_slack_takes(full)
        assert full["blocks"][0]["type"] == "header"
        assert full["blocks"][1]["elements"][0]["text"].startswith("Told late")


def test_one_long_explanation_keeps_all_the_room_there_is() -> None:
    message = render_alert(alert(about("generic", text="x" * 50_000)))
    assert any(value == "x" * (3000 - len(CUT)) + CUT for value in values_of(message))


@pytest.mark.parametrize("escape", ["&amp;", "&lt;"])
def test_a_cut_never_halves_an_escape(escape: str) -> None:
    for before in range(12):
        text = "x" * before + html.unescape(escape) * 1000
        message = render_alert(alert(about("generic", text=text)))
        assert_slack_takes(message)
        (explanation,) = (value for value in values_of(message) if value.endswith(CUT))
        assert explanation.removesuffix(CUT).endswith(escape)


def test_text_that_just_fits_is_not_cut() -> None:
    def values(text: str) -> list[str]:
        return values_of(render_alert(alert(about("generic", text=text))))

    assert "&amp;" * 600 in values("&" * 600)
    assert not any(CUT in value for value in values("x" * 3000))
    assert any(CUT in value for value in values("x" * 3001))


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
    told = alert(about("aws.guardduty", console_url=url))
    message = render_alert(told)
    assert_slack_takes(message)
    assert "Open in the AWS console" not in preview(message)
    assert facts_of(message)["Link"][:1900] == url[:1900]
    assert "Open in the AWS console" not in preview(render_group([told, told]))


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
    told = alert(about("aws.guardduty", console_url=url))
    for message in (render_alert(told), render_group([told, told])):
        assert_slack_takes(message)
        assert f"<{linked}|Open in the AWS console>" in values_of(message)
        assert f"Open in the AWS console: {html.unescape(linked)}" in preview(message)


shown_text = st.text(st.characters(exclude_categories=["Cc", "Cs"])).filter(lambda text: text.strip())
any_text = st.text(st.characters(exclude_categories=[])) | st.sampled_from(list(NASTY.values()))
names_of_fields = st.sampled_from(["account", "region", "status", "resource", "text", "title", "detail_type"])
alerts = st.builds(
    lambda source, fields, **others: alert(about(source, **fields), **others),
    st.sampled_from(list(EVENTS)),
    st.fixed_dictionaries(
        {},
        optional={
            **dict.fromkeys(("account", "region", "status", "resource", "text"), st.none() | any_text),
            **dict.fromkeys(("title", "detail_type"), any_text),
            "resources": st.lists(any_text).map(tuple),
            "console_url": st.none() | any_text | any_text.map("https://console.aws.amazon.com/".__add__),
            "state": st.sampled_from(State),
        },
    ),
    transition=st.sampled_from(AlertNews),
    severity=st.integers(0, 5),
    previous_severity=st.none() | st.integers(0, 5),
    count=st.integers(0, 10**9),
    openings=st.integers(0, 10**6),
    resolved_at=st.none() | st.just(PUBLISHED_AT + 841),
    resolved_by_person=st.booleans(),
    account_name=st.none() | any_text,
)
tasks = st.builds(
    task,
    st.sampled_from(TaskChange),
    title=any_text,
    comment=st.none() | any_text,
    account_name=st.none() | any_text,
    due_date=st.none() | st.just(PUBLISHED_AT),
    status=st.sampled_from(Status),
    priority=st.sampled_from(Priority),
    event_id=st.none() | any_text,
)


@given(told=alerts)
def test_whatever_is_in_an_alert_slack_takes_the_message(told: AlertTold) -> None:
    assert_slack_takes(render_alert(told))


@given(told=tasks)
def test_whatever_is_in_a_task_slack_takes_the_message(told: TaskTold) -> None:
    assert_slack_takes(render_task(told))


@given(members=st.lists(alerts | tasks, min_size=1, max_size=60))
def test_whatever_is_in_a_group_slack_takes_the_message(members: list[AlertTold | TaskTold]) -> None:
    assert_slack_takes(render_group(members))


@given(source=st.sampled_from(list(EVENTS)), field=names_of_fields, text=shown_text)
def test_any_text_in_any_field_is_shown_as_it_is(source: str, field: str, text: str) -> None:
    message = render_alert(alert(about(source, **{field: text})))
    expected = html.escape(text, quote=False)
    if any(c.isprintable() and not c.isspace() for c in text):
        needle = " ".join(expected.split())
        assert any(needle in " ".join(value.split()) for value in values_of(message))
        assert " ".join(text.split()) in " ".join(preview(message).split())


# ---- when a template is wrong, and where it is found


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
        ('{"text": "no blocks"}', "KeyError"),
        (None, "TemplateNotFound"),
    ],
)
def test_a_template_that_fails_is_named(templates: Path, template: str | None, reason: str) -> None:
    if template is not None:
        (templates / "generic.json.j2").write_text(template)
    with pytest.raises(RenderError, match=rf"^templates/slack/generic\.json\.j2: {reason}"):
        render_alert(alert(EVENTS["generic"]))


def test_a_print_is_escaped_whatever_the_template_forgets(templates: Path) -> None:
    (templates / "generic.json.j2").write_text(
        '{"blocks": [], "text": "{{ event.title }}{{ "<!here> " ~ (event.title | cut(99)) }}"}'
    )
    title = '<!channel> & "},{'
    escaped = html.escape(title, quote=False)
    message = render_alert(alert(about("generic", title=title)))
    # Twice, where it was joined: safe.
    assert message["text"] == f"{escaped}&lt;!here&gt; {html.escape(escaped, quote=False)}"
    assert_escaped(message["text"])


def test_templates_are_found_in_the_unpacked_artifact_and_jinja_is_loaded_only_to_render(tmp_path: Path) -> None:
    for package in ("domain", "infra", "templates"):
        shutil.copytree(ROOT / package, tmp_path / "task" / package)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    program = f"""
import sys
from domain.told import AlertTold
from infra.slack_messages import render_alert
assert "jinja2" not in sys.modules
told = AlertTold.model_validate_json({alert(EVENTS["generic"]).model_dump_json()!r})
print(render_alert(told)["text"])
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
    assert "Opened (medium): Glue Job State Change" in printed
