"""What a task hands over to be measured, and how its bundles are written."""

import hashlib
import shutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from edgewise.optimize.recipe import Draft, in_order, parse, run
from edgewise.records import BundleManifest, Input
from edgewise.runtimes import read_manifest, write_manifest

SEED = 20261125
CHOICE_SHARE = 0.1
"""Of the train rows: trained on by nobody, and what candidates are chosen by."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """Inputs as a bundle takes them, with the index of each one's label."""

    inputs: list[Input]
    labels: list[int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """A source in float and what was made of it. `test` is called once, after the choice."""

    source: Path
    candidates: Sequence[Path]
    choice: Rows
    test: Callable[[], Rows]


def part(rows: Rows) -> tuple[Rows, Rows]:
    """Give the rows to train on, and those to choose by."""
    order = np.random.default_rng(SEED).permutation(len(rows.labels)).tolist()
    away = round(len(order) * CHOICE_SHARE)
    return take(rows, order[away:]), take(rows, order[:away])


def take(rows: Rows, chosen: Sequence[int]) -> Rows:
    return Rows(inputs=[rows.inputs[i] for i in chosen], labels=[rows.labels[i] for i in chosen])


def stamp(*parts: object) -> str:
    """Give a short name of what something was made from, so that another is not taken for it."""
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:10]


def say(stage: str, done: int, total: int) -> None:
    if done % 20 == 0 or done == total:
        print(f"\r{stage} {done}/{total} ", end="", file=sys.stderr, flush=True)


def write_bundle(folder: Path, draft: Draft, manifest: BundleManifest) -> Path:
    """Write a draft as a bundle, in the place of one that is there."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    (folder / manifest.model).write_bytes(draft.model.SerializeToString())
    if draft.tokenizer is not None and manifest.tokenizer is not None:
        (folder / manifest.tokenizer).write_text(draft.tokenizer, encoding="utf-8")
    write_manifest(folder, manifest)
    return folder


def write_candidate(bundle: Path, draft: Draft, recipe: str) -> Path:
    """Carry a recipe out on the draft that a bundle was written from; gives another bundle."""
    words = in_order(parse(recipe))
    manifest = read_manifest(bundle)
    name = "+".join((bundle.name, *words)).replace(":", "-")
    made = run(draft, words)
    return write_bundle(
        bundle.with_name(name), made, replace(manifest, recipe=(*manifest.recipe, *words))
    )
