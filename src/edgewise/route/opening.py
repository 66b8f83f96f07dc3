"""From the engine's arguments to a checked policy and the tiers that answer by it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from edgewise.errors import IntegrityError, UsageError
from edgewise.records import (
    Input,
    LatencyLimit,
    Policy,
    Protocol,
    Task,
    TierKind,
    TierPolicy,
    check_certificate,
    read_json,
)
from edgewise.route.clock import Clock
from edgewise.route.loading import LoadingTier
from edgewise.route.privacy import detect
from edgewise.route.secrets import read_secret
from edgewise.route.tiers import LocalTier, RemoteTier, TierModel
from edgewise.runtimes import (
    ChatWire,
    Lane,
    LocalModel,
    RemoteModel,
    open_classifier,
    open_onnx,
)

DEFAULT_THRESHOLD = 0.85
_TIMEOUT_MS, _CHAT_TIMEOUT_MS = 10_000.0, 60_000.0
_WORDS = (4, 24, 120)
_TIMES = 5
_OF_ONE_RUN = "use the policy.json and the bundle of one run"


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """The engine's arguments, as given. `None` is: not given."""

    edge_model_path: str | Path | None
    cloud_endpoint: str | None
    edge_threshold_ms: float | None
    confidence_threshold: float | None
    policy: Policy | str | Path | None
    cloud_protocol: Protocol | str
    cloud_api_key: str | None
    labels: Sequence[str]
    edge_threads: int | None
    deadline_ms: float | None
    wait_for_edge: bool
    lane: Callable[[str], Lane] | None = None
    local: Callable[[str, LocalModel], LocalTier] = LocalTier


def open_tiers(
    setup: Setup, clock: Clock, given: Mapping[str, TierModel] | None = None
) -> tuple[Policy, Mapping[str, TierModel]]:
    """Give the policy, and a model for each of its tiers that can be asked.

    Parameters
    ----------
    given
        Models that the application made itself; then no other is opened.

    Raises
    ------
    UsageError
        When the arguments leave nothing to ask, or contradict each other.
    IntegrityError
        When the policy belongs to another bundle, or its certificate was changed.
    """
    _check(setup)
    policy = setup.policy
    if given is not None:
        return _given(setup, given)
    bundle = None if setup.edge_model_path is None else Path(setup.edge_model_path)
    if isinstance(policy, str | Path):
        path = Path(policy)
        bundle = bundle or path.parent / "bundle"
        policy = read_json(Policy, path)
    if not setup.wait_for_edge:
        return _in_background(setup, policy, bundle)
    model = None if bundle is None else _open_model(bundle, setup)
    try:
        if policy is None:
            policy = _plain_policy(setup, model, clock)
        policy = _with_arguments(policy, setup)
        _check_policy(policy, model, bundle, setup)
        return policy, _tiers(policy, setup, model)
    except BaseException:
        if model is not None:
            model.close()
        raise


def _in_background(
    setup: Setup, policy: Policy | None, bundle: Path | None
) -> tuple[Policy, Mapping[str, TierModel]]:
    if policy is None or bundle is None:
        what = "an edge that is loaded in the background needs a policy and a bundle's place"
        raise UsageError(what, where="wait_for_edge", hint="give policy, and edge_model_path")
    known = _with_arguments(policy, setup)
    _check_policy(known, None, bundle, setup)
    name = known.tiers[0].name

    def open_tier() -> LocalTier:
        model = _open_model(bundle, setup)
        try:
            _check_policy(known, model, bundle, setup)
        except BaseException:
            model.close()
            raise
        return setup.local(name, model)

    others = {
        tier.name: _remote(tier, known, setup) for tier in known.tiers if tier.endpoint is not None
    }
    if name in others:
        what = f"the nearest tier, `{name}`, has an endpoint: there is nothing to load"
        raise UsageError(what, where="wait_for_edge", hint="leave it out")
    return known, {name: LoadingTier(open_tier), **others}


def check_exchange(before: Policy, after: Policy) -> None:
    """See that one policy can take another's place under the same callers and files.

    Raises
    ------
    UsageError
        When its task is another, or its offline rules are.
    """
    if after.task != before.task:
        what = f"its task is {after.task}, and that of the policy in service is {before.task}"
        hint = "requests of one do not fit the other: make another engine or gateway for it"
        raise UsageError(what, where="policy.task", hint=hint)
    if after.offline != before.offline:
        what = "the rules of the offline queue belong to the engine that opened its file"
        raise UsageError(what, where="policy.offline", hint="close the engine and make another")


def _check(setup: Setup) -> None:
    if setup.policy is None and setup.edge_model_path is None and setup.cloud_endpoint is None:
        raise UsageError(
            "there is nothing to ask",
            where="HybridInferenceEngine",
            hint="give policy, edge_model_path or cloud_endpoint",
        )
    if setup.policy is not None and setup.confidence_threshold is not None:
        raise UsageError(
            "a policy brings its own threshold",
            where="confidence_threshold",
            hint="leave it out: the certificate belongs to the policy's threshold",
        )
    if setup.confidence_threshold is not None and not 0.0 <= setup.confidence_threshold <= 1.0:
        what = f"not between 0 and 1: {setup.confidence_threshold}"
        raise UsageError(what, where="confidence_threshold", hint="give a probability, like 0.85")
    for name in ("edge_threshold_ms", "deadline_ms"):
        value = getattr(setup, name)
        if value is not None and not value > 0.0:
            raise UsageError(
                f"not above 0: {value}", where=name, hint="give milliseconds, like 100"
            )


def _given(setup: Setup, given: Mapping[str, TierModel]) -> tuple[Policy, Mapping[str, TierModel]]:
    policy = setup.policy
    names = [tier.name for tier in policy.tiers] if isinstance(policy, Policy) else []
    strange = [name for name in given if name not in names]
    if not isinstance(policy, Policy) or strange or not given:
        what = f"tiers {list(given)} for a policy of {names}"
        hint = "give a `Policy`, and at least one model by the name of its tier"
        raise UsageError(what, where="tiers", hint=hint)
    detect("", policy.privacy.detect)
    return _with_arguments(policy, setup), given


def _open_model(path: Path, setup: Setup) -> LocalModel:
    if path.is_dir():
        return open_classifier(path, threads=setup.edge_threads)
    return open_onnx(path, labels=tuple(setup.labels), threads=setup.edge_threads or 1)


def _protocol(setup: Setup) -> Protocol:
    try:
        return Protocol(setup.cloud_protocol)
    except ValueError as unknown:
        hint = f"one of: {', '.join(one.value for one in Protocol)}"
        what = f"no protocol is called `{setup.cloud_protocol}`"
        raise UsageError(what, where="cloud_protocol", hint=hint) from unknown


def _plain_policy(setup: Setup, model: LocalModel | None, clock: Clock) -> Policy:
    threshold = setup.confidence_threshold
    tiers: list[TierPolicy] = []
    if model is not None:
        latency = _measure(model, clock) if setup.edge_threshold_ms is not None else ()
        tiers.append(
            TierPolicy(
                name="edge",
                kind=TierKind.DEVICE,
                threshold=DEFAULT_THRESHOLD if threshold is None else threshold,
                latency=latency,
            )
        )
    if setup.cloud_endpoint is not None:
        cloud = TierPolicy(
            name="cloud",
            kind=TierKind.CLOUD,
            endpoint=setup.cloud_endpoint,
            protocol=_protocol(setup),
        )
        tiers.append(cloud)
    task = Task.TEXT_CLASSIFICATION if model is None else model.manifest.task
    labels = tuple(setup.labels) if model is None else model.labels
    return Policy(task=task.value, labels=labels, tiers=tuple(tiers))


def _measure(model: LocalModel, clock: Clock) -> tuple[LatencyLimit, ...]:
    """Measure a model that comes without a profile, so that `edge_threshold_ms` holds."""
    limits: list[LatencyLimit] = []
    for one in _samples(model):
        model.predict(one)
        times_ms = []
        for _ in range(_TIMES):
            start_s = clock.now_s()
            model.predict(one)
            times_ms.append((clock.now_s() - start_s) * 1000)
        times_ms.sort()
        limits.append(
            LatencyLimit(
                up_to_length=model.length(one), p50_ms=times_ms[_TIMES // 2], p95_ms=times_ms[-1]
            )
        )
    return tuple(limits)


def _samples(model: LocalModel) -> list[Input]:
    image = model.manifest.image
    if model.manifest.task.takes_text or image is None:
        return [{"text": "word " * words} for words in _WORDS]
    import numpy as np  # noqa: PLC0415 - a text needs none

    return [{"image": np.zeros((image.height, image.width, image.channels), dtype=np.uint8)}]


def _with_arguments(policy: Policy, setup: Setup) -> Policy:
    tiers = list(policy.tiers)
    if setup.edge_threshold_ms is not None:
        tiers[0] = replace(tiers[0], latency_limit_ms=setup.edge_threshold_ms)
    if setup.cloud_endpoint is not None and len(tiers) > 1:
        tiers[-1] = replace(tiers[-1], endpoint=setup.cloud_endpoint)
    deadline_ms = policy.deadline_ms if setup.deadline_ms is None else setup.deadline_ms
    if tuple(tiers) == policy.tiers and deadline_ms == policy.deadline_ms:
        return policy
    return replace(policy, tiers=tuple(tiers), deadline_ms=deadline_ms)


def _check_policy(
    policy: Policy, model: LocalModel | None, bundle: Path | None, setup: Setup
) -> None:
    detect("", policy.privacy.detect)
    if policy.certificate is not None:
        bundle_sha256, threshold = policy.bundle_sha256, policy.tiers[0].threshold
        check_certificate(
            policy.certificate,
            bundle_sha256=bundle_sha256,
            threshold=threshold,
            where=_in_file(setup, "certificate"),
        )
    if model is None:
        return
    if policy.bundle_sha256 and policy.bundle_sha256 != model.sha256:
        what = f"the policy is for bundle {policy.bundle_sha256}, and this one is {model.sha256}"
        raise IntegrityError(what, where=str(bundle), hint=_OF_ONE_RUN)
    if policy.task != model.manifest.task.value:
        what = f"the policy's task is {policy.task}, the bundle's {model.manifest.task.value}"
        raise IntegrityError(what, where=str(bundle), hint=_OF_ONE_RUN)
    if policy.labels and policy.labels != model.labels:
        what = f"the policy's labels are {_few(policy.labels)}, the bundle's {_few(model.labels)}"
        raise IntegrityError(what, where=str(bundle), hint=_OF_ONE_RUN)


def _tiers(policy: Policy, setup: Setup, model: LocalModel | None) -> dict[str, TierModel]:
    found: dict[str, TierModel] = {}
    for place, tier in enumerate(policy.tiers):
        if tier.endpoint is not None:
            found[tier.name] = _remote(tier, policy, setup)
        elif place == 0 and model is not None:
            found[tier.name] = setup.local(tier.name, model)
    if not found:
        hint = "give edge_model_path, or a policy whose cloud has an endpoint"
        raise UsageError("no tier of the policy can be asked", where="policy", hint=hint)
    return found


def _key(tier: TierPolicy, policy: Policy, setup: Setup) -> str | None:
    """Give a tier's API key: the argument is the farthest's, the policy says where others lie."""
    if setup.cloud_api_key is not None and tier is policy.tiers[-1]:
        return setup.cloud_api_key
    return None if tier.api_key is None else read_secret(tier.api_key)


def _remote(tier: TierPolicy, policy: Policy, setup: Setup) -> RemoteTier:
    endpoint, api_key = tier.endpoint or "", _key(tier, policy, setup)
    wire, timeout_ms = None, _TIMEOUT_MS
    if policy.task == Task.TEXT_GENERATION.value:
        if tier.protocol is not Protocol.OPENAI:
            what = f"tier `{tier.name}` speaks {tier.protocol.value}, which has no chats"
            raise UsageError(what, where="policy", hint="text generation needs protocol openai")
        # Nothing is read off the last tier's confidence, and some endpoints refuse to tell it.
        wire = ChatWire(logprobs=tier is not policy.tiers[-1], token_limit=tier.token_limit)
        timeout_ms = _CHAT_TIMEOUT_MS

    def connect() -> RemoteModel:
        return RemoteModel(
            endpoint,
            protocol=tier.protocol,
            model=tier.model,
            labels=policy.labels,
            api_key=api_key,
            timeout_ms=timeout_ms,
            wire=wire,
            lane=setup.lane,
        )

    try:
        # Connects once: a wrong URL is found before the first request.
        return RemoteTier(connect, policy.privacy)
    except UsageError as wrong:
        if setup.policy is None or wrong.where != "endpoint":
            raise
        where = _in_file(setup, f"tiers.{tier.name}.endpoint")
        raise UsageError(wrong.what, where=where, hint=wrong.hint) from None


def _in_file(setup: Setup, field: str) -> str:
    """Give the place of a policy's field, with its file where it has one."""
    return f"{setup.policy}: {field}" if isinstance(setup.policy, str | Path) else field


def _few(labels: Sequence[str]) -> str:
    return ", ".join(labels[:5]) + (", …" if len(labels) > 5 else "")
