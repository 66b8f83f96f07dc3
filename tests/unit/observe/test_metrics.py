"""Numbers counted, and their text."""

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


def test_open_metrics_have_exemplars_and_an_end() -> None:
    lines = counted().text(open_metrics=True).splitlines()

    assert "# TYPE asked counter" in lines
    assert 'took_seconds_bucket{route="x",le="1"} 2 # {request_id="r-1"} 0.7' in lines
    assert lines[-1] == "# EOF"
