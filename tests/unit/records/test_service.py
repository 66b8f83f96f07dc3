"""Service formulas and queue rules check themselves."""

from collections.abc import Callable

import pytest

from edgewise.errors import InvalidRecord
from edgewise.records import (
    Autoscaling,
    Batching,
    QueueRules,
    ServiceFormula,
    TierKind,
    TierPolicy,
)


def test_a_formula_adds_base_and_tokens() -> None:
    formula = ServiceFormula(base_ms=200.0, per_input_token_ms=0.1, per_output_token_ms=20.0)

    assert formula.ms(1000, 10) == 500.0


@pytest.mark.parametrize(
    ("make", "where"),
    [
        (lambda: ServiceFormula(base_ms=-1.0), "ServiceFormula.base_ms"),
        (lambda: ServiceFormula(per_input_token_ms=float("nan")), "per_input_token_ms"),
        (lambda: ServiceFormula(per_output_token_ms=float("inf")), "per_output_token_ms"),
        (lambda: Batching(most=0), "Batching.most"),
        (lambda: Batching(most=1, wait_ms=-1.0), "Batching.wait_ms"),
        (lambda: Autoscaling(least=3, most=2), "Autoscaling.most"),
        (lambda: Autoscaling(most=2, target_utilization=0.0), "target_utilization"),
        (lambda: QueueRules(most_waiting=-1), "QueueRules.most_waiting"),
        (
            lambda: TierPolicy(name="cloud", kind=TierKind.CLOUD, servers=0),
            "TierPolicy.servers",
        ),
    ],
)
def test_numbers_that_can_not_be_are_refused(make: Callable[[], object], where: str) -> None:
    with pytest.raises(InvalidRecord) as caught:
        make()

    assert caught.value.where.endswith(where)
    assert caught.value.what.startswith("not ")
    assert caught.value.hint
