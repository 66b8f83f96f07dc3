"""Problems of placement for tests: small random ones, and one worth a thousand ways."""

from dataclasses import replace
from typing import Any

import numpy as np
from hypothesis import strategies as st

from edgewise.records import (
    CutPoint,
    DeviceClass,
    Handover,
    ModelCuts,
    ModelProfile,
    ModelQuality,
    Origin,
    PlacementModel,
    PlacementProblem,
    PlacementTier,
    PlacementWorkload,
    Pool,
    TierKind,
)

KINDS = {"device": TierKind.DEVICE, "site": TierKind.SITE, "cloud": TierKind.CLOUD}
MODELS = ("small", "large")


def sharing_site(**changes: Any) -> PlacementProblem:
    """Two workloads, one site machine that both fit on, and a cloud that is paid by the request.

    Either alone is cheaper in the cloud (20 USD against 30 USD for the machine); together they are
    cheaper on the site (30 USD against 40 USD).
    """
    problem = PlacementProblem(
        name="sharing",
        workloads=(
            PlacementWorkload(name="a", requests_per_month=10_000, peak_per_s=1.0),
            PlacementWorkload(name="b", requests_per_month=10_000, peak_per_s=1.0),
        ),
        tiers=(
            PlacementTier(name="site", kind=TierKind.SITE, rtt_p95_ms=5.0, availability=0.99),
            PlacementTier(name="cloud", kind=TierKind.CLOUD, rtt_p95_ms=100.0, availability=0.999),
        ),
        device_classes=(
            DeviceClass(name="box", memory_bytes=1000, storage_bytes=1000, usd_per_month=30.0),
            DeviceClass(name="rented"),
        ),
        pools=(
            Pool(tier="site", device_class="box", max_units=4),
            Pool(tier="cloud", device_class="rented"),
        ),
        models=(PlacementModel(name="m", size_bytes=400),),
        profiles=(
            ModelProfile(
                model="m",
                device_class="box",
                mean_ms=100.0,
                p95_ms=150.0,
                peak_memory_bytes=800,
                memory_origin=Origin.MEASURED,
            ),
            ModelProfile(
                model="m",
                device_class="rented",
                mean_ms=50.0,
                p95_ms=80.0,
                usd_per_request=0.002,
                joules=1.0,
            ),
        ),
        qualities=(
            ModelQuality(workload="a", model="m", value=0.9, low=0.88, high=0.92),
            ModelQuality(workload="b", model="m", value=0.8, low=0.78, high=0.82),
        ),
        usd_per_kwh=0.0,
    )
    return replace(problem, **changes)


def cut_problem() -> PlacementProblem:
    """A model that is slow near and far away; cut after 20 ms of 100 ms it sends a tenth."""
    base = sharing_site()
    return replace(
        base,
        workloads=(replace(base.workloads[0], request_bytes=100_000, latency_p95_ms=290.0),),
        qualities=base.qualities[:1],
        tiers=(
            PlacementTier(name="site", kind=TierKind.DEVICE),
            PlacementTier(
                name="cloud", kind=TierKind.CLOUD, rtt_p95_ms=50.0, uplink_bytes_per_s=100_000.0
            ),
        ),
        profiles=(
            replace(base.profiles[0], p95_ms=300.0, joules=10.0),
            base.profiles[1],
        ),
        cuts=(
            ModelCuts(
                workload="a",
                model="m",
                near="box",
                far="rented",
                points=(
                    CutPoint(name="early", activation_bytes=10_000, before_ms=20.0, after_ms=40.0),
                    CutPoint(name="worse", activation_bytes=20_000, before_ms=30.0, after_ms=45.0),
                ),
            ),
        ),
    )


def with_workload(problem: PlacementProblem, name: str, **changes: Any) -> PlacementProblem:
    """Change one workload."""
    return replace(
        problem,
        workloads=tuple(
            replace(one, **changes) if one.name == name else one for one in problem.workloads
        ),
    )


@st.composite
def problems(
    draw: st.DrawFn, *, shared: bool = True, whole: bool | None = None, limits: bool = True
) -> PlacementProblem:
    """Small problems: up to three workloads, three tiers and two models.

    Parameters
    ----------
    shared
        Machines and fixed costs, rather than pools that are paid by the request.
    whole
        Whether traffic goes one way only; `None`: either.
    limits
        Whether anything is asked of the workloads.
    """
    tiers = draw(st.lists(st.sampled_from(sorted(KINDS)), min_size=1, max_size=3, unique=True))
    names = [f"w{at}" for at in range(draw(st.integers(1, 3)))]
    usd = st.sampled_from([0.0, 5.0, 10.0, 17.0, 30.0])
    classes = tuple(
        DeviceClass(
            name=f"at-{tier}",
            memory_bytes=draw(st.none() | st.sampled_from([100, 200, 300])),
            storage_bytes=draw(st.none() | st.sampled_from([100, 200])),
            servers=draw(st.integers(1, 3)),
            usd_per_month=draw(usd),
            watts=draw(st.sampled_from([0.0, 100.0])),
        )
        for tier in tiers
    )
    pools = tuple(
        Pool(
            tier=tier,
            device_class=f"at-{tier}",
            max_units=draw(st.none() | st.integers(1, 4)) if shared else None,
            owned_units=draw(st.integers(0, 2)) if shared else 0,
            usd_per_month=draw(usd) if shared else 0.0,
        )
        for tier in tiers
    )
    profiles = tuple(
        ModelProfile(
            model=model,
            device_class=f"at-{tier}",
            mean_ms=mean,
            p95_ms=mean * draw(st.sampled_from([1.2, 2.0])),
            service_cv2=draw(st.sampled_from([0.0, 1.0, 2.0])),
            peak_memory_bytes=draw(st.sampled_from([50, 100, 150])),
            joules=draw(st.sampled_from([0.0, 1.0, 5.0])),
            usd_per_request=draw(st.sampled_from([0.0, 0.001, 0.002, 0.003])),
        )
        for model in MODELS
        for tier in tiers
        for mean in [draw(st.sampled_from([20.0, 50.0, 100.0, 300.0]))]
    )
    return PlacementProblem(
        name="drawn",
        workloads=tuple(draw(workloads(name, whole=whole, limits=limits)) for name in names),
        tiers=tuple(
            PlacementTier(
                name=tier,
                kind=KINDS[tier],
                region=draw(st.sampled_from(["", "eu"])),
                availability=draw(st.sampled_from([0.9, 0.99, 1.0])),
                rtt_p95_ms=draw(st.sampled_from([0.0, 20.0, 100.0])),
                usd_per_month=draw(usd) if shared else 0.0,
            )
            for tier in tiers
        ),
        device_classes=classes,
        pools=pools,
        models=tuple(PlacementModel(name=one, size_bytes=70) for one in MODELS),
        profiles=profiles,
        qualities=tuple(
            ModelQuality(workload=name, model=model, value=low + 0.05, low=low, high=low + 0.1)
            for name in names
            for model in MODELS
            for low in [draw(st.sampled_from([0.5, 0.7, 0.85]))]
        ),
        handovers=tuple(
            Handover(
                workload=name, near="small", far="large", share=0.2, value=0.9, low=0.85, high=0.95
            )
            for name in names
            if draw(st.booleans())
        ),
        budget_usd_per_month=draw(st.none() | st.sampled_from([20.0, 60.0])) if limits else None,
        joules_per_month=draw(st.none() | st.sampled_from([1e4, 1e5])) if limits else None,
    )


@st.composite
def workloads(draw: st.DrawFn, name: str, *, whole: bool | None, limits: bool) -> PlacementWorkload:
    """One workload, asked for little or much."""
    asked: dict[str, Any] = {}
    if limits:
        asked = {
            "latency_p95_ms": draw(st.none() | st.sampled_from([80.0, 200.0, 1000.0])),
            "quality_floor": draw(st.none() | st.sampled_from([0.6, 0.8])),
            "kinds": draw(st.sampled_from([(), (TierKind.DEVICE, TierKind.SITE)])),
            "regions": draw(st.sampled_from([(), (), ("eu",)])),
            "availability": draw(st.none() | st.sampled_from([0.95, 0.99])),
            "budget_usd_per_month": draw(st.none() | st.sampled_from([5.0, 15.0])),
        }
    return PlacementWorkload(
        name=name,
        requests_per_month=draw(st.sampled_from([0.0, 2000.0, 10_000.0])),
        peak_per_s=draw(st.sampled_from([0.5, 3.0, 8.0])),
        arrival_cv2=draw(st.sampled_from([1.0, 3.0])),
        splittable=draw(st.booleans()) if whole is None else not whole,
        **asked,
    )


def large_problem(
    workload_count: int, tier_count: int, class_count: int, *, seed: int = 0
) -> PlacementProblem:
    """Many workloads over shared machines with fixed costs; every number is from the seed."""
    rng = np.random.default_rng(seed)
    kinds = [TierKind.DEVICE, TierKind.SITE, TierKind.CLOUD]
    tiers = [f"tier{at}" for at in range(tier_count)]
    classes = [f"class{at}" for at in range(class_count)]
    speed = np.exp(rng.normal(0.0, 0.5, class_count))
    sizes = rng.integers(20, 400, 2 * workload_count // 5) * 10**6
    models = [f"model{at}" for at in range(len(sizes))]
    work = rng.uniform(5.0, 60.0, len(models))
    names = [f"work{at}" for at in range(workload_count)]
    choice = {name: rng.choice(len(models), 3, replace=False) for name in names}
    lows = {name: rng.uniform(0.7, 0.95, 3) for name in names}
    return PlacementProblem(
        name="large",
        workloads=tuple(
            PlacementWorkload(
                name=name,
                requests_per_month=float(rng.uniform(1e5, 1e7)),
                peak_per_s=float(rng.uniform(5.0, 200.0)),
                arrival_cv2=float(rng.uniform(1.0, 2.0)),
                latency_p95_ms=float(rng.choice([500.0, 1000.0, 3000.0])),
                quality_floor=0.72,
                kinds=(TierKind.SITE, TierKind.DEVICE) if rng.random() < 0.1 else (),
                splittable=bool(rng.random() < 0.7),
            )
            for name in names
        ),
        tiers=tuple(
            PlacementTier(
                name=tier,
                kind=kinds[at % 3],
                availability=0.999,
                rtt_p95_ms=(2.0, 10.0, 80.0)[at % 3],
                usd_per_month=(100.0, 400.0, 0.0)[at % 3],
            )
            for at, tier in enumerate(tiers)
        ),
        device_classes=tuple(
            DeviceClass(
                name=name,
                memory_bytes=int(rng.integers(4, 33)) * 10**9,
                servers=int(rng.integers(1, 9)),
                usd_per_month=float(60.0 / fast * rng.uniform(0.8, 1.6)),
            )
            for name, fast in zip(classes, speed, strict=True)
        ),
        pools=tuple(
            Pool(
                tier=tier,
                device_class=name,
                max_units=int(rng.integers(4, 40)),
                usd_per_month=float(rng.uniform(20.0, 120.0)),
            )
            for tier in tiers
            for name in classes
        ),
        models=tuple(
            PlacementModel(name=name, size_bytes=int(size))
            for name, size in zip(models, sizes, strict=True)
        ),
        profiles=tuple(
            ModelProfile(
                model=model,
                device_class=name,
                mean_ms=float(base * slow),
                p95_ms=float(base * slow * 1.5),
                service_cv2=0.2,
                peak_memory_bytes=int(size * 2.5),
                joules=float(base * slow * 0.01),
                usd_per_request=0.0,
            )
            for model, base, size in zip(models, work, sizes, strict=True)
            for name, slow in zip(classes, speed, strict=True)
        ),
        qualities=tuple(
            ModelQuality(
                workload=name,
                model=models[at],
                value=float(low + 0.01),
                low=float(low),
                high=float(low + 0.02),
            )
            for name in names
            for at, low in zip(choice[name], lows[name], strict=True)
        ),
    )
