"""How long requests wait for a machine, as a formula that says what it assumes."""

import math

TAIL = 0.05
"""p95."""


def erlang_c(servers: int, utilization: float) -> float:
    """Give the probability that a request waits at Poisson arrivals and exponential service."""
    offered = servers * utilization
    blocked = 1.0
    for count in range(1, servers + 1):
        blocked = offered * blocked / (count + offered * blocked)
    return blocked / (1.0 - utilization * (1.0 - blocked))


def residual_ms(mean_ms: float, arrival_cv2: float, service_cv2: float) -> float:
    """Give the mean wait's factor: half of the mean times both squared variations.

    With Poisson arrivals it is the mean of what is left of a request in service.
    """
    return mean_ms * (arrival_cv2 + service_cv2) / 2.0


def wait_p95_ms(utilization: float, servers: int, residual: float) -> float:
    """Give the p95 of the wait in the queue of one machine.

    Notes
    -----
    A request waits with Erlang's probability C, and then an exponential time with the mean
    `residual / (servers (1 - utilization))`: exact for M/M/c, the Allen–Cunneen approximation for
    G/G/c (Allen, Probability, Statistics and Queueing Theory, 1990, section 5.3). It assumes gaps
    that are independent; a trace with bursts can wait far longer, which a simulation shows.
    """
    waits = erlang_c(servers, utilization)
    if waits <= TAIL:
        return 0.0
    return residual / (servers * (1.0 - utilization)) * math.log(waits / TAIL)


def bucket(residual: float) -> float:
    """Round a residual time up to a power of two, so that a pool has few of them."""
    return float(2.0 ** math.ceil(math.log2(residual) - 1e-12)) if residual > 0 else 0.0
