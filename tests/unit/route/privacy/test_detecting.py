"""The detectors of personal data on a small labelled set, and how inputs are scanned."""

import time
from collections.abc import Callable
from typing import get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgewise.errors import UsageError
from edgewise.records.privacy import PersonalKind
from edgewise.route.privacy import KINDS, Span, detect, detect_in, find, strings_of
from edgewise.testing.privacy import labelled_texts, rates_of

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
    ("fe80::1: unreachable", "ip"),
    ("born 12.05.1987 555-123-4567", "phone"),
    ("555 123 4567 12.05.1987", "phone"),
    ("(0123456789)", "phone"),
    ("mobile 13800138000", "phone"),
    # Numbers that the offices print as examples, or that are public for tests.
    ("SSN 219-09-9999", "us_ssn"),
    ("my social security number is 219099999", "us_ssn"),
    ("NI number QQ is none, AB 12 34 56 C is", "uk_nino"),
    ("nhs 943 476 5919", "uk_nhs"),
    ("nhs 9434765919", "uk_nhs"),
    ("chi 010190-1234", "phone"),
    ("chi 0101901232", "uk_nhs"),
    ("DNI 12345678Z", "es_dni"),
    ("DNI 12.345.678-z", "es_dni"),
    ("NIE X1234567L", "es_dni"),
    ("cf RSSMRA85T10A562S", "it_codice_fiscale"),
    ("cf rss mra 85t10 a562 s", "it_codice_fiscale"),
    ("Steuer-ID 86 095 742 719", "de_tax_id"),
    ("Steuer-ID 47036892816", "de_tax_id"),
    ("nir 2 55 08 14 168 025 38", "fr_nir"),
    ("nir 255081416802538", "fr_nir"),
    ("cpf 111.444.777-35", "br_cpf"),
    ("cpf 52998224725", "br_cpf"),
    ("aadhaar 2341 2341 2346", "in_aadhaar"),
    # Digits of other scripts, full width, what has no width, marks, dashes and spaces.
    ("ａｎａ＠ｅｘａｍｐｌｅ．ｏｒｇ", "email"),
    ("ana\u200b@exam\u00adple.org", "email"),
    ("jose\u0301@example.org", "email"),
    ("card ４１１１ １１１１ １１１１ １１１１", "card"),
    ("card 4111\u00a01111\u20111111\u20031111", "card"),
    ("call +٤٩ ٣٠ ٩٠١٨٢٠", "phone"),
    ("4\u20e31\u20e31\u20e31\u20e3 1111 1111 1111", "card"),
    ("call +49\u201330\u2013901820", "phone"),
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
    "version 1.2.3.4, release: 10.0.19045.2364 and v1.2.3.4",
    "std::vector<int> a::b",
    "order number 48213-99120 and ticket #555-123-4567",
    "ORD-2024-623723, ISBN 978-3-16-148410-0",
    "at 1700000000, 20240301-123045",
    "$52998224725 is a lot",
    "uuid 550e8400-e29b-41d4-a716-446655440000",
]


@pytest.mark.parametrize(("text", "kind"), LABELLED)
def test_personal_data_is_found(text: str, kind: str) -> None:
    assert kind in detect(text, KINDS)


@pytest.mark.parametrize("text", PLAIN)
def test_plain_text_is_left_alone(text: str) -> None:
    assert detect(text, KINDS) == ()


NEAR = [
    ("666-12-3456, 900-12-3456, 000-12-3456, 219-00-9999, 219-09-0000", "us_ssn"),
    ("219 09-9999, 1219-09-9999, 219-09-9999-1, the ssn 000123456", "us_ssn"),
    ("BG 12 34 56 C, AB 12 34 56 E, AB 12 34 5 C, XAB 12 34 56 C", "uk_nino"),
    ("9434765918 and 5434765919, 943 4765 919, 320101 1239", "uk_nhs"),
    ("12345678A, X1234567M, X12345678Z, 1.234.567-Z, 12345678ZZ", "es_dni"),
    ("RSSMRA85T10A562T and RSSMRA85F10A562S and RSSMRA85T10A562SS", "it_codice_fiscale"),
    ("86 095 742 718, 01234567890, 12345678903, 11112345678", "de_tax_id"),
    ("2 55 08 14 168 025 39, 2 55 13 14 168 025 38, 9 55 08 14 168 025 38", "fr_nir"),
    ("111.444.777-36, 111.111.111-11, 111 444 777 35", "br_cpf"),
    ("0.52998224725, id-52998224725, 52998224725-1, x52998224725, $52998224725", "br_cpf"),
    ("52998224725x, 52998224725.1", "br_cpf"),
    ("1341 2341 2346, 2341 2341 2347, 23412 3412 346", "in_aadhaar"),
    ("4111 1111 1111 1112, 9111 1111 1111 1111, 4111 1111 1111 111", "card"),
    ("DE89 3704 0044 0532 0130 01, XX89 3704 0044 0532 0130 00, XDE89370400440532013000", "iban"),
    ("version 1.2.3.4, build: 10.0.19045.2, 1.2.3.4.5, 256.1.1.1, 12:30:45", "ip"),
]


@pytest.mark.parametrize(("text", "kind"), NEAR)
def test_what_is_wrong_in_one_place_is_not_of_the_kind(text: str, kind: str) -> None:
    assert find(text, [kind]) == []


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
    assert caught.value.hint == (
        "one of: email, phone, card, iban, ip, us_ssn, uk_nino, uk_nhs, es_dni, it_codice_fiscale, "
        "de_tax_id, fr_nir, br_cpf, in_aadhaar, name"
    )


def test_strings_are_found_however_deep_they_lie() -> None:
    one = {"text": "hello", "context": {"history": [{"from": ("ana@example.org",)}]}}

    assert detect_in(one, KINDS) == ("email",)
    assert detect_in({"ana@example.org": 1}, KINDS) == ("email",)
    assert detect_in({"text": "hello", "image": b"ana@example.org"}, KINDS) == ()
    assert detect_in(one, ()) == ()


@pytest.mark.parametrize("number", [4111111111111111, 4111111111111111.0, -4111111111111111])
def test_a_number_is_read_as_its_digits(number: float) -> None:
    schema = {"type": "integer", "maximum": 2147483647, "const": number}
    tool = {"type": "function", "function": {"name": "pay", "parameters": {"card": schema}}}

    assert detect_in({"tools": [tool]}, KINDS) == ("card",)
    assert detect_in({"text": "hello", "card": number}, KINDS) == ("card",)


def test_limits_of_schemas_times_and_seeds_are_nobodys_numbers() -> None:
    limits = {
        "maximum": [2**31 - 1, 2**32 - 1, 2**63, 9_999_999_999, 5_000_000_000, 1e300],
        "minimum": [-(2**31), -1e12, float("-inf"), float("nan")],
        "exact": [True, 0, 0.5, 32_000, 1732900000, 1732900000123, 2025552671.5, 10**400 + 7],
    }

    assert detect_in(limits, KINDS) == ()
    assert detect_in({"text": "hello", "seed": 2025552671}, KINDS) == ()
    assert detect_in({"text": "hello", "phone": 2025552671}, KINDS) == ("phone",)
    assert detect_in({"seed": {"phone": 2025552671}}, KINDS) == ("phone",)
    assert detect_in({"messages": [{"seed": 2025552671}]}, KINDS) == ("phone",)


def test_a_number_of_an_image_as_a_list_takes_no_longer_than_its_place() -> None:
    image = {"image": [[[0, 0.5, 255] for _ in range(64)] for _ in range(64)]}

    def took_s(look: Callable[[], object]) -> float:
        start_s = time.perf_counter()
        look()
        return time.perf_counter() - start_s

    assert detect_in(image, KINDS) == ()
    walked_s = min(took_s(lambda: list(strings_of(image))) for _ in range(9))
    assert min(took_s(lambda: detect_in(image, KINDS)) for _ in range(9)) < 4 * walked_s


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


def test_a_piece_of_a_longer_number_is_no_aadhaar() -> None:
    assert detect("2341 2341 2346", ["in_aadhaar"]) == ("in_aadhaar",)
    assert detect("2341 2341 2346 1111", ["in_aadhaar"]) == ()
    assert detect("1111 2341 2341 2346", ["in_aadhaar"]) == ()


def test_a_place_is_that_in_the_text_as_it_was_written() -> None:
    text = "ﬁle: ａｎａ＠example.org, 4111\u200b 1111 1111 1111!"

    assert find(text, ["email", "card"]) == [Span(5, 20, "email"), Span(22, 42, "card")]
    assert text[22:42] == "4111\u200b 1111 1111 1111"


def test_what_overlaps_is_one_span_of_the_longest() -> None:
    assert find("219-09-9999@example.org", ["us_ssn", "email"]) == [Span(0, 23, "email")]
    assert find("GB82 WEST 1234 5698 7654 32", KINDS) == [Span(0, 27, "iban")]
    assert find("a@b.org b@c.org", ["email"]) == [Span(0, 7, "email"), Span(8, 15, "email")]


def test_a_span_ends_where_its_number_does() -> None:
    text = "pay GB82 WEST 1234 5698 7654 32 by me, 12 4111 1111 1111 1111 07"

    spans = find(text, ["iban", "card"])

    assert [text[one.start : one.end] for one in spans] == [
        "GB82 WEST 1234 5698 7654 32",
        "4111 1111 1111 1111",
    ]


LONG = 4_000
ADVERSARIAL = [
    "1 " * LONG,
    "1" * LONG,
    "4111 " * LONG,
    "1-" * LONG,
    "1.2." * LONG,
    "+1(" * LONG,
    "@a" * LONG,
    "a@" * LONG,
    " @x.de" * LONG,
    "a." * LONG + "@" + "b." * LONG,
    "a@" + "b-" * LONG,
    "AB12 " * LONG,
    "GB82WEST" * LONG,
    "1:" * LONG,
    "::" * LONG,
    "f:" * LONG + "1",
    "X1234567" * LONG,
    "ABCDEF00A00A000" * LONG,
    "1 85 05 78 006 " * LONG,
    "1 2024-01-01 " * LONG,
    "ssn " * LONG + "1234567890",
    "order " * LONG + "1234567890",
    "１" * LONG,
    "\uff41@x.de 4111 1111 1111 1111 " * LONG,
    "\u0301" * LONG + "1@",
    "\ufdfa" * LONG,
]


@pytest.mark.parametrize("text", ADVERSARIAL, ids=lambda text: ascii(text[:12]))
def test_time_grows_with_the_text_and_not_faster(text: str) -> None:
    def cost_s(piece: str) -> float:
        start_s = time.process_time()
        for kind in KINDS:
            detect(piece, [kind])
            find(piece, [kind])
        return time.process_time() - start_s

    eighth = text[: len(text) // 8]
    cost_s(eighth)

    # Eight times the text takes about 8 times as long; were the time quadratic, 64 times.
    assert cost_s(text) < 32 * min(cost_s(eighth), cost_s(eighth)) + 0.1


def test_every_kind_is_found_and_near_misses_seldom_are() -> None:
    texts = labelled_texts(np.random.default_rng(5_150), 60)

    rates = rates_of(detect, KINDS, texts)

    assert {kind for kind, (_, recall) in rates.items() if recall < 0.98} == set()
    assert {kind for kind, (precision, _) in rates.items() if precision < 0.85} == set()


def test_a_detector_that_finds_nothing_or_everything_is_told_by_its_rates() -> None:
    texts = labelled_texts(np.random.default_rng(5_151), 5)

    blind = rates_of(lambda _, __: (), ["email", "ip"], texts)
    jumpy = rates_of(lambda _, kinds: tuple(kinds), ["email"], texts)

    assert blind == {"email": (0.0, 0.0), "ip": (0.0, 0.0)}
    assert jumpy["email"][1] == 1.0
    assert jumpy["email"][0] < 0.2


def test_the_spec_names_the_kinds_that_there_are() -> None:
    assert set(get_args(PersonalKind)) == {*KINDS, "name"}
