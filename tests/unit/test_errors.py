import inspect
import pickle

import pytest

from edgewise import errors
from edgewise.errors import DeadlineExceeded, EdgewiseError, RemoteError, TierUnavailable

KINDS = [kind for _, kind in inspect.getmembers(errors, inspect.isclass)]


@pytest.mark.parametrize(
    ("where", "hint", "text"),
    [
        ("", "", "it broke"),
        ("a.yaml:3:1", "", "a.yaml:3:1: it broke"),
        ("", "mend it", "it broke\n\nhint: mend it"),
        ("a.yaml", "mend it", "a.yaml: it broke\n\nhint: mend it"),
    ],
)
def test_text_says_where_what_and_how_to_mend_it(where: str, hint: str, text: str) -> None:
    assert str(EdgewiseError("it broke", where=where, hint=hint)) == text


def test_every_error_descends_from_one() -> None:
    assert all(issubclass(kind, EdgewiseError) for kind in KINDS)


def test_tree_in_the_docstring_names_every_error() -> None:
    assert all(kind.__name__ in (errors.__doc__ or "") for kind in KINDS)


def test_late_and_failed_remote_tiers_are_unavailable_tiers() -> None:
    assert issubclass(DeadlineExceeded, TierUnavailable)
    assert issubclass(RemoteError, TierUnavailable)


def test_a_remote_error_says_what_the_endpoint_told() -> None:
    error = RemoteError("busy", where="https://host", hint="wait", status=429, retry_after_s=2.5)

    found = pickle.loads(pickle.dumps(error))

    assert (found.status, found.retry_after_s) == (429, 2.5)
    assert str(found) == "https://host: busy\n\nhint: wait"


def test_a_remote_error_without_an_answer_has_no_status() -> None:
    error = RemoteError("can't be reached")

    assert (error.status, error.retry_after_s) == (None, None)


@pytest.mark.parametrize("kind", KINDS)
def test_error_keeps_its_text_across_processes(kind: type[EdgewiseError]) -> None:
    error = kind("it broke", where="a.yaml", hint="mend it")

    found = pickle.loads(pickle.dumps(error))

    assert type(found) is kind
    assert (found.what, found.where, found.hint) == ("it broke", "a.yaml", "mend it")
