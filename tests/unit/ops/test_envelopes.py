import json

import pytest

from ops import envelopes
from ops.errors import OpsError

ALARM = {"source": "aws.cloudwatch", "detail-type": "CloudWatch Alarm State Change", "detail": {"ä": 1}}


def test_a_file_with_one_envelope_is_one_message() -> None:
    (body,) = envelopes.read(json.dumps(ALARM, indent=2), "alarm.json")
    assert json.loads(body) == ALARM


def test_a_list_of_envelopes_is_a_message_each() -> None:
    assert len(envelopes.read(json.dumps([ALARM, ALARM, ALARM]), "alarms.json")) == 3


def test_json_lines_are_a_message_each_and_blank_lines_are_nothing() -> None:
    assert envelopes.read('{"a":1}\n\n{"b":2}\n', "lines.jsonl") == ['{"a":1}', '{"b":2}']


def test_text_beyond_ascii_is_sent_as_it_is() -> None:
    assert "ä" in envelopes.read(json.dumps(ALARM), "alarm.json")[0]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("garbage", "line 1"),
        ('{"a":1}\nnonsense\n', "line 2"),
        ("[1]", "item 1"),
        ('[{"a":1}, "b"]', "item 2"),
        ('"text"', "item 1"),
        ("[]", "no envelope"),
        ("", "no envelope"),
    ],
)
def test_what_is_no_json_object_is_refused_with_its_place(text: str, complaint: str) -> None:
    with pytest.raises(OpsError, match=complaint) as refusal:
        envelopes.read(text, "file")
    assert refusal.value.exit_code == 2
    assert "--raw" in refusal.value.remedy
