"""What the pre-router reads off MMLU prompts that it has not seen, and how long it takes.

APGR as `routing/README.md` of the data defines it: chance gives 0.5. Known domains: five random
folds, equal prompts together. Domains left out: five folds of whole domains. The mean over the
folds counts; every fold is fitted on the other four. Peers are fitted on the same folds.

Claims: `prerouter_apgr_mmlu` at least 0.67 and `prerouter_apgr_domains_left_out` at least 0.57 from
the prompt alone; with MiniLM's embedding as well 0.70 and 0.60; `prerouter_p99_us_500` at most 100
and `prerouter_p99_us_2000` at most 300, in characters of the prompt.

    .venv/bin/python -m benchmarks.route_prerouter [--encoder BUNDLE]

Without `--encoder` a bundle is made of the first three of the six layers of the demo's MiniLM;
where that is not there, the claims with an embedding are left out. The middle layers tell more of
what is hard than the last, which tells what a text is about; the layer was chosen by inner folds of
a training part (`docs/guides/prerouter.md`).
"""

import argparse
import csv
import gzip
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from benchmarks.results import ROOT, claim, write
from numpy.typing import NDArray
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline

from edgewise import PreRouter
from edgewise.pipeline.optimizing import Order, optimize_source
from edgewise.preroute import apgr
from edgewise.records import OptimizeSpec
from edgewise.runtimes import LocalModel, open_bundle

FOLDS, ROUNDS, TIMES = 5, 7, 5
MINILM = ROOT / "examples/sentiment/models/minilm"
MAX_LENGTH = 256
"""Tokens; 9 % of the prompts are longer."""
LAYERS = 3
"""Of six: a middle one tells more of how hard a prompt is (docs/guides/prerouter.md)."""
LENGTHS = {500: 100.0, 2000: 300.0}

Floats = NDArray[np.float64]
Rows = NDArray[np.int64]
Judge = Callable[[Rows, Rows], Floats]
"""Takes the rows to fit on and the rows to judge; gives a score for each of the latter."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Prompts with the answers of two models. Made by `read_table`."""

    prompts: list[str]
    domain: NDArray[np.str_]
    edge: Floats
    cloud: Floats

    def at(self, rows: Rows) -> list[str]:
        """Give the prompts of some rows."""
        return [self.prompts[row] for row in rows]


def read_table() -> Table:
    """Read `routing/mmlu_dev.csv.gz` under `$EDGEWISE_DATA`, default `../shared/data`."""
    data = Path(os.environ.get("EDGEWISE_DATA", ROOT.parent / "shared" / "data"))
    with gzip.open(data / "routing/mmlu_dev.csv.gz", "rt", encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    return Table(
        prompts=[row["prompt"] for row in rows],
        domain=np.array([row["domain"] for row in rows]),
        edge=np.array([float(row["weak_correct"]) for row in rows]),
        cloud=np.array([float(row["strong_correct"]) for row in rows]),
    )


def deal(keys: Sequence[str]) -> Rows:
    """Sort the keys, shuffle them, and deal them to the folds in turn."""
    names = sorted(set(keys))
    np.random.default_rng(0).shuffle(names)
    fold = {name: at % FOLDS for at, name in enumerate(names)}
    return np.array([fold[key] for key in keys])


def score(table: Table, fold: Rows, judge: Judge) -> float:
    """Give the mean APGR over the folds."""
    found = []
    for k in range(FOLDS):
        seen, unseen = np.flatnonzero(fold != k), np.flatnonzero(fold == k)
        found.append(apgr(judge(seen, unseen), table.edge[unseen], table.cloud[unseen]))
    return statistics.fmean(found)


def judges(table: Table, vectors: NDArray[np.float32] | None, *, grouped: bool) -> dict[str, Judge]:
    """Give the pre-router and its peers."""
    gain = table.cloud - table.edge

    def router(seen: Rows, unseen: Rows) -> Floats:
        groups = list(table.domain[seen]) if grouped else None
        fitted = PreRouter.fit(table.at(seen), table.edge[seen], table.cloud[seen], groups)
        return fitted.gain(table.at(unseen))

    def length(_: Rows, unseen: Rows) -> Floats:
        return np.array([len(prompt) for prompt in table.at(unseen)], dtype=float)

    def domain_mean(seen: Rows, unseen: Rows) -> Floats:
        means = {name: gain[seen][table.domain[seen] == name].mean() for name in set(table.domain)}
        return np.array([means[name] for name in table.domain[unseen]])

    def tfidf_lr(seen: Rows, unseen: Rows) -> Floats:
        words = TfidfVectorizer(sublinear_tf=True, ngram_range=(1, 2), min_df=2)
        fitted = make_pipeline(words, LogisticRegression(max_iter=1000))
        fitted.fit(table.at(seen), gain[seen] > 0)
        found: Floats = fitted.predict_proba(table.at(unseen))[:, 1]
        return found

    found: dict[str, Judge] = {"router": router, "length": length, "tfidf_lr": tfidf_lr}
    if not grouped:
        found["domain_mean"] = domain_mean
    if vectors is not None:
        by_prompt = dict(zip(table.prompts, vectors, strict=True))

        def embed(prompts: Sequence[str]) -> NDArray[np.float32]:
            return np.stack([by_prompt[prompt] for prompt in prompts])

        def with_embedding(seen: Rows, unseen: Rows) -> Floats:
            groups = list(table.domain[seen]) if grouped else None
            edge, cloud = table.edge[seen], table.cloud[seen]
            fitted = PreRouter.fit(table.at(seen), edge, cloud, groups, embed=embed)
            return fitted.gain(table.at(unseen))

        def minilm_ridge(seen: Rows, unseen: Rows) -> Floats:
            spread = vectors[seen].std(axis=0) + 1e-6
            used = (vectors - vectors[seen].mean(axis=0)) / spread
            used[:, spread < 1e-5] = 0
            predicted: Floats = Ridge(30_000).fit(used[seen], gain[seen]).predict(used[unseen])
            return predicted

        found |= {"with_embedding": with_embedding, "minilm_ridge": minilm_ridge}
    return found


def open_encoder(bundle: Path | None, table: Table, folder: Path) -> LocalModel | None:
    """Open the encoder given, or make one of the demo's; `None` where neither is there."""
    if bundle is None:
        if not MINILM.is_dir():
            return None
        data = folder / "prompts.csv"
        with data.open("w", encoding="utf-8", newline="") as stream:
            csv.writer(stream).writerows([["text"], *([prompt] for prompt in table.prompts[::30])])
        recipes = OptimizeSpec(recipes=("smooth,int8-dynamic",))
        source = cut(MINILM, LAYERS, folder / "source")
        order = Order(
            source=source, data=data, out=folder / "out", optimize=recipes, max_length=MAX_LENGTH
        )
        optimize_source(order)
        bundle = folder / "out" / "bundle"
    return open_bundle(bundle)


def cut(source: Path, layers: int, folder: Path) -> Path:
    """Give a model folder whose configuration knows the first layers only."""
    folder.mkdir()
    for path in source.iterdir():
        (folder / path.name).symlink_to(path.resolve())
    config = json.loads((source / "config.json").read_bytes())
    (folder / "config.json").unlink()
    (folder / "config.json").write_text(json.dumps({**config, "num_hidden_layers": layers}))
    return folder


def embed_one(encoder: LocalModel, prompt: str) -> NDArray[np.floating]:
    """Give the vector of one prompt."""
    return encoder.embed([{"text": prompt}])


def p99_us(prompts: Sequence[str], ask: Callable[[str], object]) -> float:
    """Give the median over the rounds of a round's 99th percentile."""
    found = []
    for prompt in prompts:
        ask(prompt)
    for _ in range(ROUNDS):
        taken_ns = []
        for prompt in [*prompts] * TIMES:
            start_ns = time.perf_counter_ns()
            ask(prompt)
            taken_ns.append(time.perf_counter_ns() - start_ns)
        found.append(float(np.percentile(taken_ns, 99)) / 1000)
    return statistics.median(found)


def time_claims(table: Table, encoder: LocalModel | None) -> list[dict[str, object]]:
    """Time one decision on prompts within a twentieth of a length."""
    start_s = time.perf_counter()
    router = PreRouter.fit(table.prompts, table.edge, table.cloud)
    print(f"fitted on {len(table.prompts)} prompts in {time.perf_counter() - start_s:.1f} s")
    peer = make_pipeline(
        TfidfVectorizer(sublinear_tf=True, ngram_range=(1, 2), min_df=2),
        LogisticRegression(max_iter=1000),
    )
    peer.fit(table.prompts, table.cloud > table.edge)
    claims = []
    for length, bound in LENGTHS.items():
        chosen = [p for p in table.prompts if abs(len(p) - length) <= length / 20]
        peers = {"tfidf_lr_us": p99_us(chosen[:40], lambda p: peer.predict_proba([p]))}
        if encoder is not None:
            peers["minilm_us"] = p99_us(chosen[:10], partial(embed_one, encoder))
        value = round(p99_us(chosen, router.gain_of), 1)
        told = {name: round(us) for name, us in peers.items()}
        claims.append(claim(f"prerouter_p99_us_{length}", value, bound, runs=ROUNDS, peers=told))
    return claims


def main(bundle: Path | None = None) -> None:
    """Measure, print and keep."""
    table = read_table()
    prompts = [" ".join(prompt.split()) for prompt in table.prompts]
    splits = {
        "mmlu": (deal(prompts), False, 0.67, 0.70),
        "domains_left_out": (deal(list(table.domain)), True, 0.57, 0.60),
    }
    with tempfile.TemporaryDirectory() as parent:
        encoder = open_encoder(bundle, table, Path(parent))
        vectors = None
        if encoder is not None:
            texts = [{"text": prompt} for prompt in table.prompts]
            vectors = encoder.embed(texts, batch_size=8).astype(np.float32)
        claims = time_claims(table, encoder)
        if encoder is not None:
            encoder.close()
    for name, (fold, grouped, fast, embedded) in splits.items():
        found = {
            who: round(score(table, fold, judge), 4)
            for who, judge in judges(table, vectors, grouped=grouped).items()
        }
        own, beside = found.pop("router"), found.pop("with_embedding", None)
        told = {"better": "higher", "runs": FOLDS, "peers": found}
        claims.append(claim(f"prerouter_apgr_{name}", own, fast, **told))
        if beside is not None:
            told["peers"] = {**found, "without_embedding": own}
            claims.append(claim(f"prerouter_embedding_apgr_{name}", beside, embedded, **told))
    write("route", claims, keep=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--encoder", type=Path, help="a bundle that embeds texts")
    main(parser.parse_args().encoder)
