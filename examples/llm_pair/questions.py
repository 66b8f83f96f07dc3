"""Short questions whose right answer is known, so that quality can be counted."""

from dataclasses import dataclass

_CAPITALS = (
    ("France", "Paris"), ("Italy", "Rome"), ("Spain", "Madrid"), ("Japan", "Tokyo"),
    ("Germany", "Berlin"), ("Egypt", "Cairo"), ("Greece", "Athens"), ("Norway", "Oslo"),
    ("Cuba", "Havana"), ("Peru", "Lima"), ("Kenya", "Nairobi"), ("Austria", "Vienna"),
    ("Portugal", "Lisbon"), ("Poland", "Warsaw"), ("Ireland", "Dublin"), ("Chile", "Santiago"),
    ("Finland", "Helsinki"), ("Hungary", "Budapest"), ("Thailand", "Bangkok"), ("Iran", "Tehran"),
    ("Russia", "Moscow"), ("Sweden", "Stockholm"), ("Denmark", "Copenhagen"), ("India", "Delhi"),
    ("Belgium", "Brussels"), ("Canada", "Ottawa"),
)  # fmt: skip


@dataclass(frozen=True)
class Question:
    """What is asked, and the word that a right answer holds."""

    text: str
    answer: str


def capitals() -> list[Question]:
    """Give questions that a small model may know."""
    return [Question(f"What is the capital of {land}?", city) for land, city in _CAPITALS]


def sums() -> list[Question]:
    """Give questions that a small model mostly gets wrong."""
    pairs = [(17 + 3 * i, 26 + 7 * i) for i in range(len(_CAPITALS))]
    return [Question(f"What is {a} plus {b}?", str(a + b)) for a, b in pairs]


def mixed() -> list[Question]:
    """Give both kinds in turn."""
    return [one for two in zip(capitals(), sums(), strict=True) for one in two]


def quality(said: str, question: Question) -> float:
    """Give 1 where the answer holds the right word, else 0."""
    return float(question.answer.casefold() in said.casefold())
