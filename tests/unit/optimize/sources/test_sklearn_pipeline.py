"""Fitted pipelines of scikit-learn become sources whose answers are the pipeline's."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from edgewise.errors import InvalidData, InvalidModel
from edgewise.optimize.sources.sklearn_pipeline import open_pipeline
from edgewise.runtimes import find_runtime

pytestmark = [pytest.mark.heavy, pytest.mark.filterwarnings("ignore")]
ROWS = np.random.default_rng(0).normal(size=(60, 4)).astype(np.float32)
KINDS = np.array(["low", "middle", "high"])[np.digitize(ROWS.sum(axis=1), (-1, 1))]
TEXTS = ["a good film", "a bad film", "good day", "bad day", "lovely trip", "awful trip"] * 3
MOODS = ["good", "bad", "good", "bad", "good", "bad"] * 3


def shares(source: Any, inputs: Any, folder: Path) -> Any:
    path = folder / "model.onnx"
    path.write_bytes(source.classifier(1, None).SerializeToString())
    session = find_runtime("onnxruntime").load(path)
    logits = session.run({"input": inputs})["logits"]
    session.close()
    grown = np.exp(logits)
    return grown / grown.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("last", [LogisticRegression(), RandomForestClassifier(10, random_state=0)])
def test_a_pipeline_of_numbers_gives_its_probabilities(last: Any, tmp_path: Path) -> None:
    pipeline = make_pipeline(StandardScaler(), last).fit(ROWS, KINDS)

    source = open_pipeline(pipeline, ROWS[:20])

    assert source.labels == ("high", "low", "middle")
    assert source.has_head
    found = shares(source, ROWS[20:], tmp_path)
    assert np.abs(found - pipeline.predict_proba(ROWS[20:])).max() <= 1e-4


def test_a_pipeline_of_texts_gives_its_probabilities(tmp_path: Path) -> None:
    vectorizer = TfidfVectorizer(token_pattern="[a-zA-Z0-9_]+")
    pipeline = make_pipeline(vectorizer, LogisticRegression()).fit(TEXTS, MOODS)

    source = open_pipeline(pipeline, TEXTS)

    other = ["a lovely film", "awful and bad"]
    found = shares(source, np.array(other, dtype=object).reshape(-1, 1), tmp_path)
    assert source.labels == ("bad", "good")
    assert np.abs(found - pipeline.predict_proba(other)).max() <= 1e-4


def test_a_step_that_can_not_be_converted_is_named() -> None:
    steps = (StandardScaler(), FunctionTransformer(np.sin), LogisticRegression())
    pipeline = make_pipeline(*steps).fit(ROWS, KINDS)

    with pytest.raises(InvalidModel) as refused:
        open_pipeline(pipeline, ROWS)

    assert refused.value.where == "step `functiontransformer`"
    assert "`FunctionTransformer` can't be converted" in refused.value.what
    assert "replace the step" in refused.value.hint


def test_words_that_the_onnx_form_reads_otherwise_are_found_by_the_answers() -> None:
    vectorizer = TfidfVectorizer(token_pattern="[^ ]+")
    texts = [text.replace("good", "été").replace("bad", "ça") for text in TEXTS]
    pipeline = make_pipeline(vectorizer, LogisticRegression(C=100)).fit(texts, MOODS)

    with pytest.raises(InvalidModel) as refused:
        open_pipeline(pipeline, ["a film", "ÉTÉ"])

    assert refused.value.where == "step `tfidfvectorizer`"
    assert "answers sample 1 otherwise" in refused.value.what
    assert "lower-case the texts" in refused.value.hint


def test_a_pipeline_without_probabilities_is_refused() -> None:
    pipeline = make_pipeline(StandardScaler(), LinearRegression()).fit(ROWS, ROWS[:, 0])

    with pytest.raises(InvalidModel) as refused:
        open_pipeline(pipeline, ROWS)

    assert refused.value.where == "step `linearregression`"
    assert "gives no probabilities" in refused.value.what
    assert "predict_proba" in refused.value.hint


def test_a_pipeline_that_is_not_fitted_is_refused() -> None:
    with pytest.raises(InvalidModel) as refused:
        open_pipeline(make_pipeline(StandardScaler(), LogisticRegression()), ROWS)

    assert refused.value.where == "step `logisticregression`"
    assert "not fitted" in refused.value.what


@pytest.mark.parametrize(
    ("samples", "what"), [(ROWS[:0], "no samples"), (ROWS[0], "have the shape (4,)")]
)
def test_samples_that_are_no_rows_are_refused(samples: Any, what: str) -> None:
    pipeline = make_pipeline(StandardScaler(), LogisticRegression()).fit(ROWS, KINDS)

    with pytest.raises(InvalidData) as refused:
        open_pipeline(pipeline, samples)

    assert refused.value.where == "samples"
    assert what in refused.value.what
    assert refused.value.hint
