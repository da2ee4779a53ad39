"""The contract of people's keys in DynamoDB, wrapped by KMS."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any, ClassVar

import pytest
from botocore.exceptions import ClientError

from infra.personal_data import ERASED, DynamoDBDataKeys, PersonalData, UnsealedTextError, UnwrapError
from tests.contract.aws import LostAnswers, NewClient, OneAtATime, tables


class DataKeysContract:
    """Who inherits it gives the fixture `new_client`.

    Attributes:
        is_real: a server answers by HTTP, and checks and writes in one step.
    """

    is_real: ClassVar = True

    @pytest.fixture
    def client(self, new_client: NewClient) -> Iterator[Any]:
        """A client whose keys table is empty."""
        client = new_client("dynamodb")
        with tables(client, "keys"):
            yield client

    @pytest.fixture
    def kms(self, new_client: NewClient) -> Any:
        return new_client("kms")

    @pytest.fixture
    def kms_key(self, kms: Any) -> str:
        arn: str = kms.create_key()["KeyMetadata"]["Arn"]
        return arn

    @pytest.fixture
    def keys(self, client: Any, kms: Any, kms_key: str) -> DynamoDBDataKeys:
        safe: Any = client if self.is_real else OneAtATime(client)
        return DynamoDBDataKeys(safe, "keys", lambda: kms, kms_key)

    def test_a_key_is_made_once_and_found(self, keys: DynamoDBDataKeys) -> None:
        assert keys.find("u-1") is None
        made = keys.make("u-1")
        assert len(made) == 32
        assert keys.find("u-1") == made
        assert keys.make("u-1") == made
        assert keys.make("u-2") != made

    def test_all_who_make_a_key_at_once_get_the_same(self, client: Any, keys: DynamoDBDataKeys) -> None:
        ready = Barrier(8, timeout=30)

        def make(_: int) -> bytes:
            ready.wait()
            return keys.make("u-1")

        with ThreadPoolExecutor(8) as pool:
            made = set(pool.map(make, range(8)))
        assert made == {keys.find("u-1")}
        assert len(client.scan(TableName="keys")["Items"]) == 1

    def test_what_processes_seal_at_once_all_of_them_open(self, keys: DynamoDBDataKeys) -> None:
        processes = [PersonalData(keys) for _ in range(4)]
        ready = Barrier(4, timeout=30)

        def seal(process: PersonalData) -> str:
            ready.wait()
            return process.seal("u-1", "email", "ada@example.com")

        with ThreadPoolExecutor(4) as pool:
            sealed = list(pool.map(seal, processes))
        assert len(set(sealed)) == 4
        assert {process.open("u-1", "email", text) for process in processes for text in sealed} == {"ada@example.com"}

    def test_a_key_whose_answer_is_lost_is_the_one_that_is_stored(self, client: Any, keys: DynamoDBDataKeys) -> None:
        answers = LostAnswers(client, is_real=self.is_real)
        made = keys.make("u-1")
        assert answers.lost == ["PutItem"]
        assert keys.find("u-1") == made

    def test_the_table_holds_no_key_but_wrapped_ones(self, client: Any, keys: DynamoDBDataKeys) -> None:
        made = keys.make("u-1")
        (item,) = client.scan(TableName="keys")["Items"]
        assert set(item) == {"pk", "k"}
        assert item["pk"] == {"S": "u-1"}
        assert made not in item["k"]["B"]

    def test_a_key_is_bound_to_its_person(self, client: Any, keys: DynamoDBDataKeys) -> None:
        keys.make("u-1")
        (item,) = client.scan(TableName="keys")["Items"]
        client.put_item(TableName="keys", Item={**item, "pk": {"S": "u-2"}})
        with pytest.raises(UnwrapError, match="InvalidCiphertextException"):
            keys.find("u-2")

    def test_a_deleted_key_is_gone_and_no_later_one_opens_what_it_sealed(self, keys: DynamoDBDataKeys) -> None:
        personal, elsewhere = PersonalData(keys), PersonalData(keys)
        sealed = personal.seal("u-1", "email", "ada@example.com")
        made = keys.find("u-1")
        personal.erase("u-1")
        assert keys.find("u-1") is None
        assert personal.open("u-1", "email", sealed) == ERASED
        assert elsewhere.open("u-1", "email", sealed) == ERASED
        personal.erase("u-1")  # sent again
        assert keys.make("u-1") != made
        with pytest.raises(UnsealedTextError):
            elsewhere.open("u-1", "email", sealed)

    def test_kms_is_not_asked_for_somebody_without_a_key(self, client: Any) -> None:
        keys = DynamoDBDataKeys(client, "keys", lambda: pytest.fail("KMS was asked"), "no-key")
        assert keys.find("u-1") is None
        keys.delete("u-1")

    def test_an_error_of_kms_leaves_no_key(self, client: Any, kms: Any) -> None:
        keys = DynamoDBDataKeys(client, "keys", lambda: kms, "alias/no-such-key")
        with pytest.raises(ClientError, match="NotFoundException"):
            keys.make("u-1")
        assert client.scan(TableName="keys")["Items"] == []
