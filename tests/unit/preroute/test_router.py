"""The pre-router: what it learns, what it refuses, and that its weights are all of it."""

import base64
import json
import tracemalloc
import zlib
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from edgewise import PreRouter
from edgewise.errors import EdgewiseError, InvalidData, InvalidRecord
from edgewise.preroute import apgr
from edgewise.preroute.features import read
from edgewise.records import PreRouterWeights, decode, encode

RNG = np.random.default_rng(7)
TOPICS = ("rivers", "engines", "poems", "taxes", "birds", "metals")
EASY = [f"tell me about {TOPICS[i % 6]} number {i}" for i in range(120)]
HARD = [f"prove that {TOPICS[i % 6]} {i} = {i} * 2 if not false" for i in range(120)]
PROMPTS = EASY + HARD
EDGE = np.array([1.0] * 120 + [0.0] * 120)
CLOUD = np.ones(240)
ROUTER = PreRouter.fit(PROMPTS, EDGE, CLOUD)


def encoder(texts: Sequence[str]) -> NDArray[np.float64]:
    """Tell hard from easy in one of four numbers."""
    return np.array([[float("prove" in t), len(t) / 100, 1.0, t.count("e")] for t in texts])


def test_what_the_edge_gets_wrong_is_worth_sending() -> None:
    unseen = ["prove that moons 7 = 9 * 2 if not false", "tell me about moons number 7"]

    hard, easy = ROUTER.gain(unseen)

    assert hard > 0.8
    assert easy < 0.2
    assert ROUTER.gain_of(unseen[0]) == hard


def test_its_evidence_is_of_prompts_that_it_did_not_see() -> None:
    seen = ROUTER.weights.evidence

    assert seen is not None
    assert (seen.n, seen.groups, seen.mean_gain, seen.mse_of_mean) == (240, 0, 0.5, 0.25)
    assert seen.mse < 0.05
    assert seen.apgr is not None
    assert seen.apgr == pytest.approx(0.75, abs=0.02)  # half are worth sending: the oracle's


def test_noise_is_worth_its_mean() -> None:
    words = RNG.choice(["sun", "moon", "star", "sky", "sea"], (200, 6))
    noise = [" ".join(row) for row in words]
    edge = RNG.integers(0, 2, 200)

    router = PreRouter.fit(noise, edge, np.ones(200))

    assert np.abs(router.gain(noise) - (1 - edge.mean())).mean() < 0.1


def test_a_cloud_that_is_not_better_has_no_gap_to_recover() -> None:
    router = PreRouter.fit(PROMPTS, CLOUD, CLOUD)

    assert router.weights.evidence is not None
    assert router.weights.evidence.apgr is None
    assert np.allclose(router.gain(PROMPTS[:3]), 0.0, atol=1e-6)


def test_the_same_seed_gives_the_same_weights() -> None:
    again = PreRouter.fit(PROMPTS, EDGE, CLOUD, seed=0)

    assert again.weights == ROUTER.weights
    assert PreRouter.fit(PROMPTS, EDGE, CLOUD, seed=1).weights != ROUTER.weights


def test_weights_survive_json_whole() -> None:
    text = json.dumps(encode(ROUTER.weights))

    read = PreRouter(decode(PreRouterWeights, json.loads(text)))

    assert read.gain(PROMPTS).tolist() == ROUTER.gain(PROMPTS).tolist()
    assert len(text) < 300_000


@settings(deadline=None)
@given(st.text() | st.text(alphabet="AB.) \n¾é中123", max_size=60))
def test_any_text_has_a_bounded_gain_which_the_day_does_not_change(prompt: str) -> None:
    (gain,) = ROUTER.gain([prompt])

    assert -1.0 <= gain <= 1.0
    assert ROUTER.gain_of(prompt) == gain


@pytest.mark.parametrize("prompt", ["", "\n" * 9, "word " * 400_000, "\ud800", "A. x\nB. y"])
def test_strange_prompts_are_read(prompt: str) -> None:
    assert np.isfinite(ROUTER.gain([prompt])).all()


def test_of_a_long_prompt_head_and_tail_are_read() -> None:
    middle = "x" * 10_000
    head, tail = "tell me about birds. " * 200, " and that is all." * 100

    assert ROUTER.gain_of(head + middle + tail) == ROUTER.gain_of(head + middle[::-1] + tail)


def test_no_word_of_a_prompt_is_kept_that_is_long() -> None:
    read("warm up")
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()

    for at in range(100):
        read(f"{at}{'x' * 3000}")

    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert after - before < 100_000  # of 300,000 characters


def test_options_are_told_from_the_question() -> None:
    options = "\nA. nine\nB. ten\n(C) eleven\n4) none of the above."
    asked = [f"which of these is {i}?{options}" for i in range(60)]
    plain = [f"which of these is {i}?" for i in range(60)]
    edge = np.array([0.0] * 60 + [1.0] * 60)

    router = PreRouter.fit(asked + plain, edge, np.ones(120))

    assert router.gain_of(f"which of these is blue?{options}") > 0.6
    assert router.gain_of("which of these is blue?") < 0.4


def test_groups_are_kept_whole_and_counted() -> None:
    groups = [TOPICS[i % 6] for i in range(240)]

    router = PreRouter.fit(PROMPTS, EDGE, CLOUD, groups)

    assert router.weights.evidence is not None
    assert router.weights.evidence.groups == 6
    assert router.gain_of(HARD[0]) > 0.8


def test_an_encoder_is_read_too_and_asked_for_later() -> None:
    alike = [f"{'prove' if i % 2 else 'tell'} {i * 7919 % 997}" for i in range(200)]
    edge = np.array([float("prove" not in text) for text in alike])

    router = PreRouter.fit(alike, edge, np.ones(200), embed=encoder)

    assert router.gain_of("prove 5") > 0.7
    assert router.gain([]).shape == (0,)
    again = PreRouter(decode(PreRouterWeights, encode(router.weights)), embed=encoder)
    assert again.gain(alike).tolist() == router.gain(alike).tolist()
    with pytest.raises(InvalidData, match="need an encoder"):
        PreRouter(router.weights)
    with pytest.raises(InvalidData, match="do not use an encoder"):
        PreRouter(ROUTER.weights, embed=encoder)


@pytest.mark.parametrize(
    ("broken", "words"),
    [
        (lambda texts: np.zeros((len(texts), 3)), "shape"),
        (lambda texts: np.zeros(len(texts)), "shape"),
        (lambda texts: np.full((len(texts), 4), np.nan), "not finite"),
    ],
)
def test_what_an_encoder_gives_is_checked(broken: Any, words: str) -> None:
    router = PreRouter.fit(PROMPTS, EDGE, CLOUD, embed=encoder)

    with pytest.raises(InvalidData, match=words):
        PreRouter(router.weights, embed=broken).gain(["a", "b"])


@pytest.mark.parametrize(
    ("prompts", "edge", "cloud", "groups", "where"),
    [
        ("one text", EDGE, CLOUD, None, "prompts"),
        ([*PROMPTS[:-1], 7], EDGE, CLOUD, None, "prompts[239]"),
        (PROMPTS, EDGE[:-1], CLOUD, None, "edge_quality"),
        (PROMPTS, EDGE, CLOUD * 2, None, "cloud_quality"),
        (PROMPTS, EDGE, CLOUD * np.nan, None, "cloud_quality"),
        (PROMPTS, ["good"] * 240, CLOUD, None, "edge_quality"),
        (PROMPTS[:19], EDGE[:19], CLOUD[:19], None, "prompts"),
        (["alike"] * 240, EDGE, CLOUD, None, "prompts"),
        (PROMPTS, EDGE, CLOUD, ["one"] * 240, "groups"),
        (PROMPTS, EDGE, CLOUD, ["a", "b"], "groups"),
    ],
)
def test_what_can_not_be_fitted_is_refused(
    prompts: Any, edge: Any, cloud: Any, groups: Any, where: str
) -> None:
    with pytest.raises(EdgewiseError) as caught:
        PreRouter.fit(prompts, edge, cloud, groups)

    assert caught.value.where == where
    assert caught.value.hint


def coded(values: NDArray[Any]) -> str:
    return base64.b64encode(values.tobytes()).decode()


@pytest.mark.parametrize(
    "changes",
    [
        {"reader": 2},
        {"depth": 0},
        {"word_bits": 30},
        {"words": "&"},
        {"words": base64.b64encode(b"no zlib").decode()},
        {"words": base64.b64encode(zlib.compress(b"short")).decode()},
        {"leaves": "&"},
        {"leaves": coded(np.zeros(3, "<i2"))},
        {"split_features": coded(np.full(5, 9999, "<u2"))},
        {"split_features": coded(np.zeros(5, "<u2"))},
        {"split_thresholds": coded(np.full(5, np.nan, "<f4"))},
        {"components": coded(np.zeros(4, "<f4"))},
        {"components": coded(np.zeros(4, "<f4")), "embedding_width": 3},
        {"embedding_width": 4},
    ],
)
def test_weights_that_do_not_hold_together_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(EdgewiseError):
        PreRouter(replace(ROUTER.weights, **changes))


def test_a_tree_that_reads_what_is_not_there_is_refused() -> None:
    splits = len(base64.b64decode(ROUTER.weights.split_features)) // 2
    with pytest.raises(InvalidRecord, match="do not fit their splits"):
        PreRouter(replace(ROUTER.weights, split_features=coded(np.full(splits, 9999, "<u2"))))


def test_the_area_is_a_half_by_chance_and_as_worked_out_by_hand() -> None:
    edge, cloud = [0, 1, 0, 1], [1, 1, 0, 1]

    assert apgr([0.5] * 4, edge, cloud) == pytest.approx(0.5)
    # The only gain comes first: PGR is 0, 1, 1, 1, 1 at shares 0, 1/4, …; the area is 3.5 / 4.
    assert apgr([9, 1, 1, 1], edge, cloud) == pytest.approx(0.875)
    assert apgr([0, 1, 1, 1], edge, cloud) == pytest.approx(0.125)
    with pytest.raises(InvalidData, match="not better"):
        apgr([1.0, 2.0], [1, 1], [1, 0])
