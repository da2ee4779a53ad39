"""Personal data in events: sealed by a key of the person's own, so that deleting the key erases it everywhere.

A sealed text is what stands in the event, in the state, in a snapshot and under the hash; it is opened only where a
person is shown (`PersonalData.open`). Without the key it reads as ERASED, while the history, the counters and the hash
chain stay as they are. `docs/personal-data.md` says what this does not reach.

AES-GCM (NIST SP 800-38D) with a 256-bit key per person and a random 96-bit nonce per text. The person and the field are
authenticated with it, so that a sealed text is good for nothing in another place.
"""

import base64
import os
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

from infra.settings import DATA_KEY_CACHE_SECONDS, DATA_KEYS_KEPT

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

ERASED = "erased"
"""What a text reads as whose key is gone."""

_PREFIX = "sealed:v1:"
_NONCE_BYTES = 12


class UnsealedTextError(ValueError):
    """A text that should be sealed and is not, or was sealed for another person or field."""


class UnwrapError(Exception):
    """KMS refuses to unwrap a person's key, and will until somebody mends that: it is no fault that passes."""


class DataKeys(Protocol):
    """The keys of people, 32 bytes each."""

    def find(self, person: str) -> bytes | None:
        """The person's key; None if there is none (any more).

        Raises:
            UnwrapError: there is one, and it cannot be had.
        """

    def make(self, person: str) -> bytes:
        """The person's key, made if there is none yet; the same for all who make it at once."""

    def delete(self, person: str) -> None:
        """Delete the person's key, for ever."""


class PersonalData:
    """Seals and opens texts. Keys are kept in memory for DATA_KEY_CACHE_SECONDS."""

    def __init__(self, keys: DataKeys) -> None:
        self._keys = keys
        self._cache: OrderedDict[str, tuple[float, bytes | None]] = OrderedDict()

    def seal(self, person: str, field: str, text: str) -> str:
        """The text as it may stand in an event.

        Args:
            person: whose it is: a user's id.
            field: which of their texts it is.
        """
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415 - those who only read skip it

        key = self._key(person) or self._remember(person, self._keys.make(person))
        nonce = os.urandom(_NONCE_BYTES)
        return (
            _PREFIX
            + base64.b64encode(nonce + AESGCM(key).encrypt(nonce, text.encode(), _bound(person, field))).decode()
        )

    def open(self, person: str, field: str, sealed: str) -> str:
        """The text again, or ERASED.

        Raises:
            UnsealedTextError: it is not sealed, or not for this person and field.
            UnwrapError: the person's key cannot be had.
        """
        from cryptography.exceptions import InvalidTag  # noqa: PLC0415
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415

        if not sealed.startswith(_PREFIX):
            raise UnsealedTextError(f"{field} of {person} is not sealed")
        key = self._key(person)
        if key is None:
            return ERASED
        content = base64.b64decode(sealed.removeprefix(_PREFIX))
        try:
            return AESGCM(key).decrypt(content[:_NONCE_BYTES], content[_NONCE_BYTES:], _bound(person, field)).decode()
        except InvalidTag:
            raise UnsealedTextError(f"{field} of {person} was sealed for something else") from None

    def erase(self, person: str) -> None:
        """Delete the person's key: what it sealed cannot be read again, here at once, elsewhere when caches end."""
        self._keys.delete(person)
        self._cache.pop(person, None)

    def _key(self, person: str) -> bytes | None:
        found = self._cache.get(person)
        if found and time.monotonic() - found[0] < DATA_KEY_CACHE_SECONDS:
            return found[1]
        key = self._keys.find(person)
        if key is not None:
            self._remember(person, key)
        return key

    def _remember(self, person: str, key: bytes) -> bytes:
        self._cache[person] = (time.monotonic(), key)
        self._cache.move_to_end(person)
        if len(self._cache) > DATA_KEYS_KEPT:
            self._cache.popitem(last=False)
        return key


class MemoryDataKeys:
    """Keys in memory, for tests."""

    def __init__(self) -> None:
        self.keys: dict[str, bytes] = {}

    def find(self, person: str) -> bytes | None:
        """See `DataKeys.find`."""
        return self.keys.get(person)

    def make(self, person: str) -> bytes:
        """See `DataKeys.make`."""
        return self.keys.setdefault(person, os.urandom(32))

    def delete(self, person: str) -> None:
        """See `DataKeys.delete`."""
        self.keys.pop(person, None)


class DataKeyErasure:
    """Deletes keys from their table, which takes no right to read or to unwrap any."""

    def __init__(self, client: "DynamoDBClient", table: str) -> None:
        self._client = client
        self._table = table

    def delete(self, person: str) -> None:
        """See `DataKeys.delete`. One write unit."""
        self._client.delete_item(TableName=self._table, Key={"pk": {"S": person}})


class DynamoDBDataKeys(DataKeyErasure):
    """Keys in a table of their own, each wrapped by a KMS key, which never leaves KMS.

    Args:
        kms: gives a KMS client; not called before there is a key to unwrap or to make.
        kms_key: id or ARN of the wrapping key.
    """

    def __init__(self, client: "DynamoDBClient", table: str, kms: Callable[[], Any], kms_key: str) -> None:
        super().__init__(client, table)
        self._kms = kms
        self._kms_key = kms_key

    def find(self, person: str) -> bytes | None:
        """See `DataKeys.find`. A strongly consistent read, and a call to KMS if there is a key."""
        answer = self._client.get_item(TableName=self._table, Key={"pk": {"S": person}}, ConsistentRead=True)
        return self._unwrapped(person, answer["Item"]["k"]["B"]) if "Item" in answer else None

    def make(self, person: str) -> bytes:
        """See `DataKeys.make`. A call to KMS and one write unit."""
        made = self._kms().generate_data_key(
            KeyId=self._kms_key, KeySpec="AES_256", EncryptionContext={"person": person}
        )
        try:
            self._client.put_item(
                TableName=self._table,
                Item={"pk": {"S": person}, "k": {"B": made["CiphertextBlob"]}},
                ConditionExpression="attribute_not_exists(pk)",
            )
        except self._client.exceptions.ConditionalCheckFailedException:
            other = self.find(person)  # somebody else made one at the same time, or our own put was repeated
            if other is None:
                raise
            return other
        key: bytes = made["Plaintext"]
        return key

    def _unwrapped(self, person: str, wrapped: bytes) -> bytes | None:
        """The errors are those of Decrypt in the "AWS KMS API Reference" that no repeat can heal."""
        kms = self._kms()
        try:
            answer = kms.decrypt(KeyId=self._kms_key, CiphertextBlob=wrapped, EncryptionContext={"person": person})
        except kms.exceptions.NotFoundException:
            return None  # the KMS key was deleted, and what it wrapped with it
        except (
            kms.exceptions.DisabledException,
            kms.exceptions.IncorrectKeyException,
            kms.exceptions.InvalidCiphertextException,
            kms.exceptions.KMSInvalidStateException,  # it is about to be deleted, which can be called off
        ) as error:
            raise UnwrapError(str(error)) from error
        key: bytes = answer["Plaintext"]
        return key


def _bound(person: str, field: str) -> bytes:
    return f"{person}|{field}".encode()
