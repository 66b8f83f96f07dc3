"""What a machine's files say of its state."""

import threading
from pathlib import Path

from edgewise.records import DeviceRule, DeviceState
from edgewise.route.device import DeviceMonitor, RequestRate, read_device


def write(root: Path, **files: str) -> None:
    for name, text in files.items():
        path = root / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def test_a_machine_that_tells_nothing_is_not_known(tmp_path: Path) -> None:
    assert read_device(tmp_path) == DeviceState()


def test_a_phones_files_are_read(tmp_path: Path) -> None:
    supply, cpu = "sys__class__power_supply__", "sys__devices__system__cpu__"
    write(
        tmp_path,
        **{
            f"{supply}BAT0__type": "Battery\n",
            f"{supply}BAT0__capacity": "15\n",
            f"{supply}BAT0__status": "Discharging\n",
            f"{supply}AC__type": "Mains\n",
            f"{supply}mouse__type": "Battery\n",
            f"{supply}mouse__scope": "Device\n",
            f"{supply}mouse__capacity": "3\n",
            f"{cpu}cpu0__cpufreq__scaling_max_freq": "1200000\n",
            f"{cpu}cpu0__cpufreq__cpuinfo_max_freq": "2400000\n",
            f"{cpu}online": "0\n",
            "proc__loadavg": "0.00 0.1 0.2 1/100 7\n",
            "proc__meminfo": "MemTotal: 2000 kB\nMemAvailable: 1000 kB\n",
        },
    )

    assert read_device(tmp_path) == DeviceState(
        on_battery=True,
        battery_share=0.15,
        throttled=True,
        load_share=0.0,
        memory_free_bytes=1_024_000,
    )


def test_a_charged_and_cool_machine_is_told_from_one_that_is_not(tmp_path: Path) -> None:
    supply, cpu = "sys__class__power_supply__", "sys__devices__system__cpu__"
    write(
        tmp_path,
        **{
            f"{supply}BAT0__type": "Battery",
            f"{supply}BAT0__status": "Charging",
            f"{cpu}cpu0__cpufreq__scaling_max_freq": "2400000",
            f"{cpu}cpu0__cpufreq__cpuinfo_max_freq": "2400000",
            "proc__loadavg": "busy",
            "proc__meminfo": "MemAvailable: much\n",
        },
    )

    assert read_device(tmp_path) == DeviceState(on_battery=False, throttled=False)


def test_a_rule_holds_where_all_its_conditions_do() -> None:
    rule = DeviceRule(
        name="r",
        on_battery=True,
        battery_below=0.2,
        throttled=True,
        load_above=0.9,
        memory_free_below_bytes=100,
        requests_per_min_above=10.0,
    )
    state = DeviceState(
        on_battery=True,
        battery_share=0.1,
        throttled=True,
        load_share=1.0,
        memory_free_bytes=50,
        requests_per_min=20.0,
    )

    assert rule.holds(state)
    assert not rule.holds(DeviceState())
    assert DeviceRule(name="always").holds(DeviceState())


def test_the_state_is_read_again_in_the_background() -> None:
    seen, read_again = threading.Event(), threading.Event()
    reads: list[float] = []

    def read() -> DeviceState:
        if reads:
            assert seen.wait(10.0)
        reads.append(0.5 if not reads else 0.4)
        if len(reads) > 2:  # the second one has been put in place
            read_again.set()
        return DeviceState(battery_share=reads[-1])

    monitor = DeviceMonitor(read, every_s=0.001)
    first = monitor.state
    seen.set()
    assert read_again.wait(10.0)
    second = monitor.state
    monitor.close()

    assert first.battery_share == 0.5
    assert second.battery_share == 0.4


def test_a_reading_that_fails_is_not_known_and_tried_again() -> None:
    failed, again = threading.Event(), threading.Event()
    reads: list[int] = []

    def read() -> DeviceState:
        reads.append(1)
        if len(reads) == 2:
            raise OSError("the sensor is gone")
        if len(reads) == 3:
            failed.set()
            assert again.wait(10.0)
        return DeviceState(battery_share=0.5)

    monitor = DeviceMonitor(read, every_s=0.001)
    assert failed.wait(10.0)
    meanwhile = monitor.state
    again.set()
    monitor.close()

    assert meanwhile == DeviceState()
    assert monitor.state.battery_share == 0.5


def test_requests_of_the_last_minute_are_counted() -> None:
    rate = RequestRate()

    for at_s in (0.0, 30.0, 59.0):
        rate.note(at_s)

    assert (rate.per_min(60.0), rate.per_min(61.0), rate.per_min(200.0)) == (3.0, 2.0, 0.0)
