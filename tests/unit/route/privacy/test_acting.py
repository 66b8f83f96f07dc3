"""What is done with a request, by the kinds that were found in it."""

from edgewise.records import PrivacyAction, PrivacyActions, decode, encode
from edgewise.route.privacy import Verdict, judge

ACTIONS = PrivacyActions(
    default=PrivacyAction.REDACT,
    by_kind={"card": PrivacyAction.REFUSE, "us_ssn": PrivacyAction.KEEP},
)


def test_each_kind_is_judged_by_its_own_action() -> None:
    found = ("email", "card", "us_ssn", "phone")

    verdict = judge(found, ACTIONS)

    assert verdict == Verdict(keep=("us_ssn",), redact=("email", "phone"), refuse=("card",))


def test_what_is_found_stays_home_when_nothing_is_said() -> None:
    assert judge(["email"], PrivacyActions()) == Verdict(keep=("email",), redact=(), refuse=())
    assert judge([], ACTIONS) == Verdict(keep=(), redact=(), refuse=())


def test_actions_keep_their_json_form() -> None:
    value = {"default": "redact", "by_kind": {"card": "refuse", "us_ssn": "keep"}}

    assert {key: encode(ACTIONS)[key] for key in value} == value
    assert decode(PrivacyActions, encode(ACTIONS)) == ACTIONS
