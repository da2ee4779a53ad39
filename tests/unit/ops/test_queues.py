from typing import Any

from ops import queues


class Queue:
    """An SQS that remembers what was sent and fails as told: `{index: [sender_fault, …]}`, one per attempt."""

    def __init__(self, faults: dict[str, list[bool]] | None = None) -> None:
        self.faults = faults or {}
        self.requests: list[list[str]] = []
        self.taken: list[str] = []

    def send_message_batch(self, *, QueueUrl: str, Entries: list[dict[str, str]]) -> dict[str, Any]:  # noqa: N803
        assert QueueUrl == "queue"
        self.requests.append([entry["MessageBody"] for entry in Entries])
        failed = []
        for entry in Entries:
            if self.faults.get(entry["Id"]):
                fault = self.faults[entry["Id"]].pop(0)
                failed.append({"Id": entry["Id"], "SenderFault": fault, "Code": "Broken", "Message": "no luck"})
            else:
                self.taken.append(entry["MessageBody"])
        return {"Failed": failed} if failed else {}


def send(queue: Queue, bodies: list[str]) -> list[queues.Failure]:
    return queues.send(queue, "queue", bodies, pause=lambda _: None)


def test_messages_go_in_tens_and_in_order() -> None:
    queue, bodies = Queue(), [f"m{n}" for n in range(23)]
    assert send(queue, bodies) == []
    assert [len(request) for request in queue.requests] == [10, 10, 3]
    assert queue.taken == bodies


def test_a_batch_stays_below_the_size_that_sqs_takes() -> None:
    queue = Queue()
    assert send(queue, ["x" * 100_000] * 5) == []
    assert [len(request) for request in queue.requests] == [2, 2, 1]


def test_only_what_failed_by_awss_fault_is_sent_again() -> None:
    queue = Queue({"1": [False, False]})
    assert send(queue, ["a", "b", "c"]) == []
    assert queue.requests == [["a", "b", "c"], ["b"], ["b"]]


def test_what_is_refused_for_its_content_is_told_and_not_repeated() -> None:
    queue = Queue({"0": [True]})
    assert send(queue, ["a", "b"]) == [queues.Failure(0, "no luck")]
    assert queue.requests == [["a", "b"]]


def test_what_fails_to_the_end_is_told() -> None:
    queue = Queue({"1": [False] * 9})
    assert send(queue, ["a", "b"]) == [queues.Failure(1, "no luck")]


class DeadLetters(Queue):
    """A dead-letter queue in front of a queue; messages are `(body, sent at in ms, attributes)`."""

    def __init__(self, messages: list[tuple[str, int, dict[str, Any]]], faults: dict[str, list[bool]]) -> None:
        super().__init__(faults)
        self.messages = messages
        self.deleted: list[str] = []
        self.released: list[str] = []

    def receive_message(self, **_: Any) -> dict[str, Any]:
        batch, self.messages = self.messages[:10], self.messages[10:]
        return {
            "Messages": [
                {"Body": b, "ReceiptHandle": b, "Attributes": {"SentTimestamp": str(at)}, "MessageAttributes": more}
                for b, at, more in batch
            ]
        }

    def delete_message(self, *, QueueUrl: str, ReceiptHandle: str) -> None:  # noqa: N803
        assert QueueUrl == "dead"
        assert ReceiptHandle in self.taken, "deleted before it was sent"
        self.deleted.append(ReceiptHandle)

    def change_message_visibility(self, *, QueueUrl: str, ReceiptHandle: str, VisibilityTimeout: int) -> None:  # noqa: N803
        assert (QueueUrl, VisibilityTimeout) == ("dead", 0)
        self.released.append(ReceiptHandle)


def redrive(queue: DeadLetters) -> list[queues.Moved]:
    return list(queues.redrive(queue, source="dead", target="queue", now=lambda: 1.0))


def test_a_redriven_message_is_sent_then_deleted_and_tells_its_reason() -> None:
    told = {"ERROR_CODE": {"StringValue": "NO_PERMISSIONS"}, "ERROR_MESSAGE": {"StringValue": "may not send"}}
    queue = DeadLetters([("a", 1, told), ("b", 2, {})], {})
    assert redrive(queue) == [queues.Moved("a", "NO_PERMISSIONS: may not send"), queues.Moved("b", "")]
    assert queue.deleted == ["a", "b"]


def test_a_message_that_could_not_be_sent_stays_in_the_dead_letter_queue() -> None:
    queue = DeadLetters([("a", 1, {}), ("b", 2, {})], {"0": [True]})
    assert [moved.body for moved in redrive(queue)] == ["b"]
    assert (queue.deleted, queue.released) == (["b"], ["a"])


def test_a_message_set_aside_again_meanwhile_does_not_go_round_for_ever() -> None:
    queue = DeadLetters([("again", 1001, {})], {})
    assert redrive(queue) == []
    assert (queue.taken, queue.released) == ([], ["again"])
