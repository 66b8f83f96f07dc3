"""Reason codes in words, as the pages say them."""

from edgewise.records import Action, Loss, Reason, Step

WORDS = {
    Reason.FORCED: "the caller named the tier",
    Reason.PRIVACY_FLAG: "the caller marked it private: it stays on the device",
    Reason.PRIVACY_DETECTED: "it holds personal data: it stays on the device",
    Reason.PRIVACY_REFUSED: "it holds personal data that no tier may see",
    Reason.RESIDENCY: "its region limits where it may go",
    Reason.TOO_LARGE: "it is too large for a tier",
    Reason.NOT_LOADED: "a tier's model is not loaded",
    Reason.CIRCUIT_OPEN: "a tier failed too often and is left alone",
    Reason.TOLD_TO_WAIT: "a tier asked to be left alone for a while",
    Reason.BUSY: "a tier has as many calls as it takes",
    Reason.BUDGET_SPENT: "the budget does not hold a call's price",
    Reason.DEADLINE_TOO_SHORT: "a tier's usual answer comes after the deadline",
    Reason.DEADLINE_PASSED: "the deadline has passed",
    Reason.EDGE_TOO_SLOW: "the near tier takes too long for this input",
    Reason.DEVICE_STATE: "the device is hot, busy or low on battery",
    Reason.CERTIFICATE_VOID: "the certificate is void",
    Reason.REDACTED: "personal data is replaced before it leaves the device",
    Reason.PRE_ROUTED: "the farthest tier is predicted to be worth its price",
    Reason.NEAREST_FIRST: "the nearest tier is asked first",
    Reason.CONFIDENT: "the answer's confidence reaches the threshold",
    Reason.LOW_CONFIDENCE: "the answer's confidence is below the threshold",
    Reason.LAST_TIER: "no tier is farther",
    Reason.DEFERRAL_IMPOSSIBLE: "no farther tier may or can be asked",
    Reason.UNCERTIFIED: "the tier has no certified threshold",
    Reason.TIER_FAILED: "a tier failed",
    Reason.HEDGED: "a second tier was asked because the first was late",
    Reason.RETRY: "the same tier is asked once more",
    Reason.STAND_IN: "an equal tier stands in",
    Reason.FALLBACK: "another tier takes over",
    Reason.QUEUED: "it is stored and answered later",
    Reason.NO_TIER_LEFT: "no tier is left to ask",
}

LOSSES = {
    Loss.NET: "how much more often always-cloud is right than tiers together",
    Loss.REGRET: "the share of requests whose wrong answer was kept though the cloud is right",
    Loss.KEPT_ERROR: "the share of wrong answers among those kept",
    Loss.DISAGREEMENT: "the share of requests whose kept answer differs from the cloud's",
}

_ACTIONS = {
    Action.ASK: "Ask {}",
    Action.ANSWER: "Answer from {}",
    Action.GIVE_UP: "Give up",
    Action.QUEUE: "Store it for later",
}


_WATCHED = {
    "length": "length of the input",
    "language": "language",
    "confidence": "score: the confidence of the nearest tier",
}
_EMBEDDING = "embedding_"


def watched_words(name: str) -> str:
    """Say what of the inputs is watched, as `DriftRules` names it."""
    if name.startswith(_EMBEDDING):
        place = name.removeprefix(_EMBEDDING)
        return f"embedding, along direction {place}: what the nearest tier's model makes of it"
    return _WATCHED.get(name, name)


def step_words(step: Step) -> str:
    """Say what a step does."""
    return _ACTIONS[step.action].format(step.tier)


def reason_words(reasons: tuple[Reason, ...]) -> str:
    """Say why."""
    return "; ".join(WORDS[one] for one in reasons)
