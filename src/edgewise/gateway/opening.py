"""From a run, a policy or a bundle to an open gateway."""

import asyncio
import random  # noqa: TID251 - the border: shares of canary and audit are drawn
from collections.abc import Callable
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path

from edgewise.gateway.admin import Admin
from edgewise.gateway.app import Gateway
from edgewise.gateway.batching import BatchingTier
from edgewise.gateway.counting import Counting, Decisions, decision_json
from edgewise.gateway.embedding import EmbeddingTier
from edgewise.gateway.events import Events
from edgewise.gateway.faults import Faults
from edgewise.gateway.pages import attach
from edgewise.gateway.rollout import Rollout
from edgewise.gateway.settings import Settings, beside
from edgewise.gateway.upstream import FastLane
from edgewise.observe import AuditFile, Auditor, DecisionLog, DriftWatch
from edgewise.records import Policy, Task, read_json
from edgewise.route import HybridInferenceEngine
from edgewise.route.tiers import LocalTier
from edgewise.runtimes import LocalModel, open_bundle, read_manifest


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What is served: the file of a policy with the bundle beside it, or a bundle alone."""

    policy: Path | None
    bundle: Path | None


def open_gateway(
    subject: Subject,
    settings: Settings,
    *,
    stack: ExitStack,
    file: Path | None = None,
    faults: Faults | None = None,
    drain: Callable[[], None] = lambda: None,
    events: Events | None = None,
) -> Gateway:
    """Open the log, the engine and the gateway over them.

    Parameters
    ----------
    drain
        Tells the server to stop.
    stack
        Closes the log, when all else is closed; the engine is the gateway's user's to close.

    Raises
    ------
    EdgewiseError
        When any of them can't be opened.
    """
    log, source = None, subject.policy
    if settings.log:
        log = stack.enter_context(DecisionLog(beside(settings.log, file), to_json=decision_json))
    decisions = Decisions(Counting(), log, events)
    embeds = None
    bundle = _bundle(subject)
    manifest = None if bundle is None else read_manifest(bundle)
    if manifest is not None and manifest.task is Task.FEATURE_EXTRACTION:
        assert bundle is not None
        embeds = EmbeddingTier(open_bundle(bundle, threads=settings.threads))
        engine = HybridInferenceEngine(
            policy=embeds.policy(), tiers={"edge": embeds}, decision_log=decisions
        )
    else:
        engine = HybridInferenceEngine(
            subject.bundle,
            policy=None if source is None else read_policy(source),
            edge_threads=settings.threads,
            decision_log=decisions,
            lane=FastLane,
            local=local_tier(settings),
            auditor=_auditor(source, settings, file, stack),
            drift=DriftWatch(told=decisions.counting.compared, watches=settings.workers),
        )
    made = Gateway(
        engine,
        name=settings.name or name_of(subject),
        settings=settings,
        decisions=decisions,
        embeds=embeds,
        faults=faults,
        read_policy=None if source is None else lambda: read_policy(source),
    )
    rollout = None
    if settings.admin is not None:
        rollout = _rollout(made, bundle, settings)
        Admin(made, rollout, drain)
    attach(made, rollout, keys=bool(settings.callers))
    return made


def _auditor(
    source: Path | None, settings: Settings, file: Path | None, stack: ExitStack
) -> Auditor | None:
    """Give what watches a run's certificate; none where several processes serve it."""
    if source is None or settings.workers > 1:
        return None
    policy = read_policy(source)
    if (read_json(Policy, policy) if isinstance(policy, Path) else policy).audit is None:
        return None
    at = beside(settings.audit, file) if settings.audit else source.parent / "audit.sqlite"
    return stack.enter_context(closing(Auditor(AuditFile(at), rng=random.Random())))


def _rollout(gateway: Gateway, bundle: Path | None, settings: Settings) -> Rollout:
    """Make what carries policies through their stages, over the bundle in service."""

    async def swap(policy: Policy) -> str:
        return await gateway.engine.swap_policy(policy, edge_model_path=bundle)

    async def open_engine(policy: Policy) -> HybridInferenceEngine:
        return await asyncio.to_thread(
            HybridInferenceEngine,
            bundle,
            policy=policy,
            edge_threads=settings.threads,
            decision_log=gateway.decisions,
            lane=FastLane,
            local=local_tier(settings),
        )

    rng = random.Random()
    made = Rollout(
        gateway.engine, swap=swap, open_engine=open_engine, rng=rng, events=gateway.events
    )
    gateway.roll_out(made)
    return made


def name_of(subject: Subject) -> str:
    """Give the model's name: its bundle's, or `default` where there is none."""
    bundle = _bundle(subject)
    return "default" if bundle is None else read_manifest(bundle).name


def _bundle(subject: Subject) -> Path | None:
    """Give the bundle that is served, where there is one."""
    if subject.bundle is not None or subject.policy is None:
        return subject.bundle
    beside_it = subject.policy.parent / "bundle"
    return beside_it if (beside_it / "manifest.json").is_file() else None


def read_policy(source: Path) -> Policy | Path:
    """Give a policy as the engine takes it: without a bundle where each tier has an endpoint."""
    if (source.parent / "bundle").is_dir():
        return source
    policy = read_json(Policy, source)
    return policy if all(tier.endpoint for tier in policy.tiers) else source


def local_tier(settings: Settings) -> Callable[[str, LocalModel], LocalTier]:
    """Give what makes the tier of an opened bundle."""

    def make(name: str, model: LocalModel) -> LocalTier:
        return BatchingTier(name, model, most=settings.batching.most)

    return make
