"""What `edgewise optimize` ended in: `candidates.json`, and what `--json` prints."""

from dataclasses import dataclass

from edgewise.records.bundle import Candidate, Task
from edgewise.records.profile import Target


@dataclass(frozen=True, slots=True, kw_only=True)
class CandidateRow:
    """A candidate, flat. What was not measured, because it was out before, is `None`."""

    recipe: tuple[str, ...]
    runtime: str
    threads: int
    size_bytes: int
    p50_ms: float | None
    p95_ms: float | None
    peak_memory_bytes: int | None
    cosine: float | None
    agreement: float | None
    metric: float | None
    """Accuracy on the held-out rows; `None` without labels."""
    kept: bool
    why: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SkippedRuntime:
    """A runtime that could not run the chosen bundle here."""

    runtime: str
    why: str
    command: str
    """Brings it where it is missing; empty where it is not that."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OptimizeSummary:
    """All that was tried of a source, and what was chosen."""

    name: str
    task: Task
    out: str
    source: str
    source_sha256: str
    source_size_bytes: int
    data_sha256: str
    held_out: int
    """Rows that the gate looked at."""
    target: Target
    candidates: tuple[CandidateRow, ...]
    chosen: CandidateRow | None
    pareto: tuple[int, ...]
    """Places of the measured candidates that none beats in everything."""
    skipped_runtimes: tuple[SkippedRuntime, ...]
    bundle_sha256: str | None
    question_sha256: str = ""
    """Hash of all that was asked: source, data, target, recipes, search, runtimes here."""


def row_of(one: Candidate) -> CandidateRow:
    """Give a candidate as a flat row."""
    found = one.fidelity
    return CandidateRow(
        recipe=one.recipe,
        runtime=one.runtime,
        threads=one.threads,
        size_bytes=one.size_bytes,
        p50_ms=one.p50_ms,
        p95_ms=one.p95_ms,
        peak_memory_bytes=one.peak_memory_bytes,
        cosine=found.cosine if found is not None else None,
        agreement=found.agreement if found is not None else None,
        metric=found.metric if found is not None else None,
        kept=one.kept,
        why=one.why,
    )
