"""Sealed texts: opened by the right key only, in the right place only, and erased with it."""

from collections.abc import Iterator

import pytest
from botocore.exceptions import ClientError
from hypothesis import given
from hypothesis import strategies as st

from infra import personal_data
from infra.personal_data import ERASED, DynamoDBDataKeys, MemoryDataKeys, PersonalData, UnsealedTextError, UnwrapError
from tests.in_memory import deployed
from tests.in_memory.dynamodb import InMemoryDynamoDB, client
from tests.in_memory.kms import InMemoryKms


def people() -> PersonalData:
    return PersonalData(MemoryDataKeys())


@given(st.text(max_size=200))
def test_what_was_sealed_is_opened_again_and_does_not_show_before(text: str) -> None:
    data = people()
    sealed = data.seal("u-1", "email", text)
    assert data.open("u-1", "email", sealed) == text
    assert len(text) < 12 or text not in sealed


def test_the_same_text_is_never_sealed_the_same_way() -> None:
    data = people()
    assert data.seal("u-1", "email", "a@example.com") != data.seal("u-1", "email", "a@example.com")


def test_a_sealed_text_is_good_for_nothing_elsewhere() -> None:
    data = people()
    sealed = data.seal("u-1", "email", "a@example.com")
    data.seal("u-2", "email", "b@example.com")
    for person, field in (("u-1", "full_name"), ("u-2", "email")):
        with pytest.raises(UnsealedTextError):
            data.open(person, field, sealed)


def test_without_its_key_it_reads_as_erased_for_those_who_had_it_too(monkeypatch: pytest.MonkeyPatch) -> None:
    keys = MemoryDataKeys()
    here, elsewhere = PersonalData(keys), PersonalData(keys)
    sealed = here.seal("u-1", "email", "a@example.com")
    assert elsewhere.open("u-1", "email", sealed) == "a@example.com"
    here.erase("u-1")
    assert here.open("u-1", "email", sealed) == ERASED
    monkeypatch.setattr(personal_data, "DATA_KEY_CACHE_SECONDS", 0.0)
    assert elsewhere.open("u-1", "email", sealed) == ERASED


def test_a_text_that_is_not_sealed_is_not_taken_for_one() -> None:
    with pytest.raises(UnsealedTextError, match="email of u-1 is not sealed"):
        people().open("u-1", "email", "a@example.com")


def test_only_so_many_keys_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(personal_data, "DATA_KEYS_KEPT", 2)
    data = people()
    for n in range(5):
        data.seal(f"u-{n}", "email", "x")
    assert len(data._cache) == 2


# ---- keys that KMS wraps


@pytest.fixture
def kms() -> InMemoryKms:
    return InMemoryKms()


@pytest.fixture
def wrapped(kms: InMemoryKms) -> Iterator[PersonalData]:
    with InMemoryDynamoDB(deployed.tables()).installed():
        yield PersonalData(DynamoDBDataKeys(client(), "keys", lambda: kms, "key"))


@pytest.fixture
def sealed(wrapped: PersonalData, monkeypatch: pytest.MonkeyPatch) -> str:
    """A text of u-1's, whose key is not in memory any more."""
    text = wrapped.seal("u-1", "email", "a@example.com")
    monkeypatch.setattr(personal_data, "DATA_KEY_CACHE_SECONDS", 0.0)
    assert wrapped.open("u-1", "email", text) == "a@example.com"
    return text


def test_without_the_key_that_wraps_everybodys_all_read_as_erased(
    wrapped: PersonalData, kms: InMemoryKms, sealed: str
) -> None:
    kms.refusal = "NotFoundException"
    assert wrapped.open("u-1", "email", sealed) == ERASED


@pytest.mark.parametrize(
    "code", ["DisabledException", "KMSInvalidStateException", "IncorrectKeyException", "InvalidCiphertextException"]
)
def test_a_key_that_kms_will_not_unwrap_is_not_taken_for_a_fault_that_passes(
    wrapped: PersonalData, kms: InMemoryKms, sealed: str, code: str
) -> None:
    kms.refusal = code
    with pytest.raises(UnwrapError, match=code):
        wrapped.open("u-1", "email", sealed)
    kms.refusal = None
    assert wrapped.open("u-1", "email", sealed) == "a@example.com"


@pytest.mark.parametrize("code", ["ThrottlingException", "KMSInternalException", "AccessDeniedException"])
def test_all_else_that_kms_says_is_a_fault_of_the_infrastructure(
    wrapped: PersonalData, kms: InMemoryKms, sealed: str, code: str
) -> None:
    kms.refusal = code
    with pytest.raises(ClientError, match=code):
        wrapped.open("u-1", "email", sealed)
