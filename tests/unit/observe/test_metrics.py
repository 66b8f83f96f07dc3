"""Numbers counted, and their text."""

import json
from typing import Any

from edgewise.observe.metrics import Counter, Gauge, Histogram, Metrics


def counted() -> Metrics:
    metrics = Metrics()
    family = metrics.counter("asked_total", "Requests", "route")
    one, same = family.of('a"b\\c\n'), family.of('a"b\\c\n')
    assert one is same
    assert isinstance(one, Counter)
    one.add()
    one.add(2)
    gauge = metrics.gauge("depth", "Depth").of()
    assert isinstance(gauge, Gauge)
    gauge.read = lambda: 4.5
    seconds = metrics.histogram("took_seconds", "Time", "route").of("x")
    assert isinstance(seconds, Histogram)
    seconds.see(0.0005)
    seconds.see(0.7, "r-1")
    seconds.see(99.0)
    return metrics


def test_text_is_as_prometheus_reads_it() -> None:
    lines = counted().text().splitlines()

    assert "# TYPE asked_total counter" in lines
    assert 'asked_total{route="a\\"b\\\\c\\n"} 3' in lines
    assert "depth 4.5" in lines
    assert 'took_seconds_bucket{route="x",le="0.0005"} 1' in lines
    assert 'took_seconds_bucket{route="x",le="1"} 2' in lines
    assert 'took_seconds_bucket{route="x",le="+Inf"} 3' in lines
    assert 'took_seconds_count{route="x"} 3' in lines
    assert not any("r-1" in line or "EOF" in line for line in lines)


def test_a_large_count_is_told_to_its_last_one() -> None:
    metrics = Metrics()
    asked = metrics.counter("asked_total", "Requests").of()
    cost = metrics.counter("cost_usd_total", "Money").of()
    assert isinstance(asked, Counter)
    assert isinstance(cost, Counter)
    asked.add(12_345_678.0)
    cost.add(1_234_567.8125)

    lines = metrics.text().splitlines()

    assert "asked_total 12345678" in lines
    assert "cost_usd_total 1234567.8125" in lines


def test_open_metrics_have_exemplars_and_an_end() -> None:
    lines = counted().text(open_metrics=True).splitlines()

    assert "# TYPE asked counter" in lines
    assert 'took_seconds_bucket{route="x",le="1"} 2 # {request_id="r-1"} 0.7' in lines
    assert lines[-1] == "# EOF"


def test_what_several_processes_count_is_what_one_would_that_counted_it_all() -> None:
    def make() -> Metrics:
        made = Metrics()
        made.counter("asked_total", "asked", "route")
        made.histogram("asked_seconds", "how long", "route")
        for of_all in (sum, min, max):
            made.gauge(f"lanes_{of_all.__name__}", "lanes", of_all=of_all)
        return made

    def family(metrics: Metrics, name: str) -> Any:
        return next(one for one in metrics._families if one.name == name)

    one, parts = make(), [make() for _ in range(3)]
    for number in range(64):
        for metrics in (one, parts[number % 3]):
            family(metrics, "asked_total").of(f"/{number % 2}").add()
            family(metrics, "asked_seconds").of("/").see(number / 64, f"id{number}")
    for name, lanes in (("sum", (2, 3, 4, 9)), ("min", (2, 3, 4, 2)), ("max", (2, 3, 4, 4))):
        for part, value in zip((*parts, one), lanes, strict=True):
            family(part, f"lanes_{name}").of().read = lambda value=value: float(value)

    states = [json.loads(json.dumps(part.state())) for part in parts]
    whole = parts[0].whole(states[1:])

    assert sorted(whole.text().splitlines()) == sorted(one.text().splitlines())
    assert 'request_id="id63"' in whole.text(open_metrics=True)  # of the process that answers
    # The state stays with each: asked again, it is the same.
    assert parts[0].whole(states[1:]).text() == whole.text()


def test_who_takes_anothers_place_counts_on_and_reads_its_own_gauges() -> None:
    before, after = Metrics(), Metrics()
    for metrics, lanes in ((before, 3.0), (after, 1.0)):
        asked, gauge = metrics.counter("asked_total", "asked").of(), metrics.gauge("lanes", "").of()
        assert isinstance(asked, Counter)
        assert isinstance(gauge, Gauge)
        asked.add(lanes)
        gauge.value = lanes
        gauge.read = gauge.value.__float__
    after.take(before.state())

    assert "asked_total 4\n" in after.text()
    assert "lanes 1\n" in after.text()
