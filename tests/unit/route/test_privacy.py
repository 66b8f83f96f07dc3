"""The detectors of personal data on a small labelled set, and how inputs are scanned."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgewise.errors import UsageError
from edgewise.route.privacy import KINDS, detect, detect_in, strings_of

LABELLED = [
    ("write to ana.lopez@example.org today", "email"),
    ("ANA+news@mail.example.co.uk.", "email"),
    ("<bob_1@sub-domain.example.com>", "email"),
    ("x@y@real.example.de", "email"),
    ("jörg@münchen.de", "email"),
    ("call +49 30 901820 after six", "phone"),
    ("call (030) 901 8200", "phone"),
    ("my number is 555-123-4567", "phone"),
    ("ring 555-0123 now", "phone"),
    ("tel. 0123456789", "phone"),
    ("+1 (212) 555 0199", "phone"),
    ("card 4111 1111 1111 1111", "card"),
    ("card 5555-5555-5555-4444, thanks", "card"),
    ("amex 378282246310005", "card"),
    ("no. 12 4111 1111 1111 1111 07", "card"),
    ("20 30 40 50 4111 1111 1111 1111", "card"),
    ("IBAN DE89 3704 0044 0532 0130 00", "iban"),
    ("gb82west12345698765432", "iban"),
    ("ref AB12 is paid to GB82 WEST 1234 5698 7654 32 by me", "iban"),
    ("host 192.168.0.1 is down", "ip"),
    ("from 2001:db8::ff00:42:8329.", "ip"),
    ("[::1]:8080", "ip"),
    ("::ffff:10.0.0.1", "ip"),
]
PLAIN = [
    "A film that is as good as it is long, 8 out of 10.",
    "In 2019-2020 we sold 1 250 000 of them, 12.5 % more.",
    "born 12.05.1987, seen 2024-03-01 at 12:30:45",
    "version 1.2.3 of std::vector",
    "@home with an @ sign, a@b and me @ work.com",
    "card 4111 1111 1111 1112",
    "DE89 3704 0044 0532 0130 01",
    "999.1.1.1 and 1.2.3.4.5",
    "::",
    "",
]


@pytest.mark.parametrize(("text", "kind"), LABELLED)
def test_personal_data_is_found(text: str, kind: str) -> None:
    assert kind in detect(text, KINDS)


@pytest.mark.parametrize("text", PLAIN)
def test_plain_text_is_left_alone(text: str) -> None:
    assert detect(text, KINDS) == ()


def test_only_the_kinds_asked_for_are_looked_for() -> None:
    text = "ana@example.org, 192.168.0.1"

    assert detect(text, ["ip"]) == ("ip",)
    assert detect(text, ["ip", "email"]) == ("ip", "email")
    assert detect(text, []) == ()


def test_an_unknown_kind_is_named() -> None:
    with pytest.raises(UsageError) as caught:
        detect("", ["passport"])

    assert caught.value.what == "no detector for `passport`"
    assert caught.value.where == "privacy.detect"
    assert caught.value.hint == "one of: email, phone, card, iban, ip"


def test_strings_are_found_however_deep_they_lie() -> None:
    one = {"text": "hello", "context": {"history": [{"from": ("ana@example.org",)}]}}

    assert detect_in(one, KINDS) == ("email",)
    assert detect_in({"ana@example.org": 1}, KINDS) == ("email",)
    assert detect_in({"text": "hello", "image": b"ana@example.org"}, KINDS) == ()
    assert detect_in(one, ()) == ()


def test_a_loop_in_an_input_is_walked_once() -> None:
    loop: dict[str, object] = {"text": "hello"}
    loop["self"] = loop
    loop["list"] = [loop, loop["self"]]
    members: list[object] = []
    members.append(members)

    assert sorted(strings_of(loop)) == ["hello", "list", "self", "text"]
    assert list(strings_of(members)) == []


@given(st.text(), st.text())
@settings(deadline=None)
def test_an_address_is_found_whatever_stands_around_it(before: str, after: str) -> None:
    assert "email" in detect(f"{before} ana@example.org {after}", KINDS)


@given(st.text(alphabet="0123456789+-() ./:@aA", max_size=200))
@settings(deadline=None)
def test_no_text_makes_a_detector_fail(text: str) -> None:
    assert set(detect(text, KINDS)) <= set(KINDS)
