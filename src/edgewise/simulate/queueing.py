"""Closed forms of queues: what a simulation is held against, and what a plan shows beside it.

Each assumes Poisson arrivals (gaps of CV² 1); a trace with bursts waits far longer. Rates are per
second and service times in seconds; a queue that never catches up waits for ever.

Sources: L. Kleinrock, Queueing Systems, volume 1, 1975, sections 3.4 to 3.6 and 5.6.
"""

import math


def erlang_b(load: float, servers: int) -> float:
    """Give the share of arrivals that find all servers busy and leave, for a load in Erlang."""
    blocked = 1.0
    for count in range(1, servers + 1):
        blocked = load * blocked / (count + load * blocked)
    return blocked


def erlang_c(load: float, servers: int) -> float:
    """Give the share of arrivals that wait, for a load in Erlang."""
    if load >= servers:
        return 1.0
    blocked = erlang_b(load, servers)
    return blocked / (1.0 - load / servers * (1.0 - blocked))


def mmc_wait_s(per_s: float, service_s: float, servers: int) -> float:
    """Give the mean wait with exponential service (M/M/c)."""
    load = per_s * service_s
    if load >= servers:
        return math.inf
    return erlang_c(load, servers) * service_s / (servers - load)


def mg1_wait_s(per_s: float, service_s: float, service_cv2: float) -> float:
    """Give the mean wait at one server (M/G/1, Pollaczek and Khinchine).

    Parameters
    ----------
    service_cv2
        Squared coefficient of variation of the service time: 1 is exponential, 0 constant.
    """
    load = per_s * service_s
    if load >= 1.0:
        return math.inf
    return load * service_s * (1.0 + service_cv2) / (2.0 * (1.0 - load))


def md1_wait_s(per_s: float, service_s: float) -> float:
    """Give the mean wait at one server with constant service (M/D/1)."""
    return mg1_wait_s(per_s, service_s, 0.0)
