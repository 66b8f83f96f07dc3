"""Training of graphs: exact before it begins, better after it, kept, and never silent."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from tiny_graphs import (
    BERTS,
    convnet,
    exported_bert,
    golden,
    images,
    run,
    token_samples,
    weight,
    with_weight,
)
from tiny_project import write_project
from tiny_torch import read_examples

from edgewise.errors import InvalidModel, StorageError
from edgewise.optimize.graphs.outputs import mean_cosine, outputs_of
from edgewise.optimize.passes import head
from edgewise.optimize.passes.fuse import fuse
from edgewise.optimize.passes.prune_ffn import prune_ffn
from edgewise.optimize.passes.prune_unstructured import prune_unstructured
from edgewise.optimize.passes.prune_width import prune_width
from edgewise.optimize.recipe import Draft, parse
from edgewise.optimize.recipe import run as run_recipe
from edgewise.optimize.sources.bert import BertSource
from edgewise.optimize.training import Lesson
from edgewise.optimize.training.graph_module import GraphModule
from edgewise.optimize.training.graph_training import Course, train_graph
from edgewise.records import silent
from edgewise.runtimes.protocol import Tensors

pytestmark = [pytest.mark.heavy, pytest.mark.filterwarnings("ignore")]
COURSE = Course(name="recover", learning_rate=1e-4)


@pytest.fixture(scope="module")
def lesson(tmp_path_factory: pytest.TempPathFactory) -> Lesson:
    """Give the tiny project's sentences with labels."""
    folder = tmp_path_factory.mktemp("project")
    write_project(folder)
    data = read_examples(folder)
    return Lesson(inputs=data.inputs, labels=data.labels)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> BertSource:
    folder = tmp_path_factory.mktemp("source")
    write_project(folder)
    return BertSource(folder / "model")


@pytest.fixture(scope="module")
def teacher(source: BertSource, lesson: Lesson) -> onnx.ModelProto:
    """Give a classifier that is right about the sentences."""
    assert lesson.labels is not None
    features = np.concatenate(
        outputs_of(source.encoder(2), lesson.inputs, "embedding"), dtype=np.float32
    )
    made = source.classifier(2, head.train_head(features, list(lesson.labels), 2, 1.0))
    assert accuracy(made, lesson) > 0.85
    return made


def answers(model: onnx.ModelProto, lesson: Lesson) -> list[int]:
    rows = np.concatenate(outputs_of(model, lesson.inputs, model.graph.output[0].name))
    return [int(one) for one in rows.argmax(axis=1)]


def accuracy(model: onnx.ModelProto, lesson: Lesson) -> float:
    return float((np.asarray(answers(model, lesson)) == np.asarray(lesson.labels)).mean())


def torch_run(module: GraphModule, sample: Tensors) -> np.ndarray:
    with torch.no_grad():
        found: np.ndarray = module(
            *[torch.from_numpy(np.array(sample[name])) for name in module.inputs]
        ).numpy()
    return found


@pytest.mark.parametrize(
    "model",
    [
        *[golden(case) for case in BERTS if case.endswith("_head")],
        exported_bert(),
        fuse(exported_bert()),
    ],
)
def test_a_graph_answers_in_torch_as_in_onnx_runtime(model: onnx.ModelProto) -> None:
    module = GraphModule(model)

    for sample in token_samples(3, vocabulary=20):
        np.testing.assert_allclose(torch_run(module, sample), run(model, sample)[0], atol=1e-4)
        np.testing.assert_allclose(run(module.model(), sample)[0], run(model, sample)[0], atol=1e-6)


def test_an_image_net_is_trained_too() -> None:
    model = convnet()
    samples = [one for one in images(80) if next(iter(one.values())).shape[2:] == (8, 8)]
    lesson = Lesson(inputs=samples, labels=[number % 2 for number in range(len(samples))])

    module = GraphModule(model)
    np.testing.assert_allclose(
        torch_run(module, samples[0]), run(model, samples[0])[0], atol=1e-3, rtol=1e-3
    )
    made = train_graph(model, lesson, COURSE)

    assert accuracy(made, lesson) >= accuracy(model, lesson)


@pytest.mark.parametrize("reduce_range", [False, True])
def test_a_convolution_net_comes_nearer_to_its_float_form_in_8_bits(reduce_range: bool) -> None:
    """Its learning rate once followed the width of its one linear layer, and was 192 times it."""
    samples = [one for one in images(400) if next(iter(one.values())).shape[2:] == (8, 8)]
    model = undecided(samples)
    draft = Draft(
        model=model,
        samples=tuple(samples[:20]),
        lesson=Lesson(inputs=samples, labels=None),
        reduce_range=reduce_range,
    )

    plain, tuned = (
        run_recipe(draft, words).model for words in (["int8-static"], ["qat:10", "int8-static"])
    )

    assert distance(tuned, model, samples) < 0.8 * distance(plain, model, samples)


def undecided(samples: list[dict[str, np.ndarray]]) -> onnx.ModelProto:
    """Give a net whose classes are about as likely as each other, so that bits matter."""
    model = convnet()
    weights, bias = next(node for node in model.graph.node if node.op_type == "Gemm").input[1:]
    logits = np.concatenate([run(model, one)[0] for one in samples])
    spread = logits.std(axis=0) / 3
    model = with_weight(model, weights, weight(model, weights) / spread[:, None])
    return with_weight(model, bias, (weight(model, bias) - logits.mean(axis=0)) / spread)


def distance(
    model: onnx.ModelProto, other: onnx.ModelProto, samples: list[dict[str, np.ndarray]]
) -> float:
    rows = [run(model, one)[0] - run(other, one)[0] for one in samples]
    return float(np.square(rows).mean())


def test_recovery_gives_back_what_pruning_lost(teacher: onnx.ModelProto, lesson: Lesson) -> None:
    pruned = prune_ffn(teacher, 0.9)
    without_labels = replace(lesson, labels=None, teacher=teacher)
    before = mean_cosine(pruned, teacher, lesson.inputs)

    recovered = train_graph(pruned, without_labels, COURSE)

    assert recovered.ByteSize() == pytest.approx(pruned.ByteSize(), rel=0.01)
    assert mean_cosine(recovered, teacher, lesson.inputs) > before
    assert accuracy(recovered, lesson) >= accuracy(pruned, lesson)


def test_an_encoder_s_student_comes_nearer_to_its_embeddings(
    source: BertSource, lesson: Lesson
) -> None:
    encoder = source.encoder(2)
    pruned = prune_ffn(encoder, 0.75)
    held = token_samples(30, seed=9, vocabulary=20)
    unlabelled = replace(lesson, labels=None, teacher=encoder, embeds=True)

    made = train_graph(pruned, unlabelled, COURSE)

    assert mean_cosine(made, encoder, held) > mean_cosine(pruned, encoder, held)


def test_a_narrow_student_learns_what_narrowing_lost(
    teacher: onnx.ModelProto, lesson: Lesson
) -> None:
    assert lesson.labels is not None
    narrow = prune_width(teacher, 0.5, lesson.inputs[:64])
    course = replace(COURSE, learning_rate=2e-4, with_tables=True)
    taught = replace(lesson, inputs=lesson.inputs[:200], labels=None, teacher=teacher)
    held = replace(lesson, inputs=lesson.inputs[200:], labels=answers(teacher, lesson)[200:])

    ours = train_graph(narrow, taught, course)

    assert accuracy(ours, held) > accuracy(narrow, held) + 0.1


def test_weights_that_pruning_set_to_zero_stay_zero(
    teacher: onnx.ModelProto, lesson: Lesson
) -> None:
    sparse = prune_unstructured(teacher, 0.5)[0]

    made = train_graph(sparse, replace(lesson, teacher=teacher), COURSE)

    before, after = matrices(sparse), matrices(made)
    changed = 0
    for name, value in before.items():
        zero = value == 0
        assert (after[name][zero] == 0).all()
        changed += int((after[name] != value).sum())
    assert changed > 0


def test_what_was_trained_is_kept_and_not_trained_again(
    teacher: onnx.ModelProto, lesson: Lesson, tmp_path: Path
) -> None:
    steps: list[int] = []
    kept = replace(
        lesson,
        teacher=teacher,
        folder=tmp_path,
        progress=lambda _, done, __: steps.append(done),
    )
    pruned = prune_ffn(teacher, 0.5)

    first = train_graph(pruned, kept, COURSE)
    assert steps
    steps.clear()
    again = train_graph(pruned, kept, COURSE)

    assert steps == []
    assert again.SerializeToString() == first.SerializeToString()
    assert [path.suffix for path in tmp_path.iterdir()] == [".safetensors"]


def test_what_was_trained_for_less_time_is_not_taken_for_more(
    teacher: onnx.ModelProto, lesson: Lesson, tmp_path: Path
) -> None:
    pruned, short = prune_ffn(teacher, 0.5), replace(lesson, teacher=teacher, folder=tmp_path)

    train_graph(pruned, replace(short, minutes=1e-9), COURSE)
    train_graph(pruned, replace(short, minutes=2e-9), COURSE)

    assert len(list(tmp_path.iterdir())) == 2


def test_an_interrupted_training_goes_on_from_its_checkpoint(
    teacher: onnx.ModelProto, lesson: Lesson, tmp_path: Path
) -> None:
    pruned = prune_ffn(teacher, 0.5)
    seen: list[int] = []

    def interrupted(stage: str, done: int, total: int) -> None:
        assert stage == "training"
        assert done <= total
        seen.append(done)
        if done == 60:
            raise KeyboardInterrupt

    kept = replace(lesson, teacher=teacher, folder=tmp_path, progress=interrupted)
    with pytest.raises(KeyboardInterrupt):
        train_graph(pruned, kept, COURSE)
    assert any(path.suffix == ".checkpoint" for path in tmp_path.iterdir())
    seen.clear()

    made = train_graph(
        pruned, replace(kept, progress=lambda _, done, __: seen.append(done)), COURSE
    )

    assert seen[0] == 51  # the checkpoint of step 50
    assert accuracy(made, lesson) >= accuracy(pruned, lesson)


def test_weights_that_can_t_be_written_are_in_the_checkpoint_still(
    teacher: onnx.ModelProto, lesson: Lesson, tmp_path: Path
) -> None:
    def interrupted(stage: str, done: int, total: int) -> None:
        if (stage, done < total, done) == ("training", True, 26):
            raise KeyboardInterrupt

    kept = replace(lesson, teacher=teacher, folder=tmp_path, progress=interrupted)
    with pytest.raises(KeyboardInterrupt):
        train_graph(prune_ffn(teacher, 0.5), kept, COURSE)
    (checkpoint,) = tmp_path.glob("*.checkpoint")
    checkpoint.with_suffix(".safetensors").mkdir()

    with pytest.raises(StorageError):
        train_graph(prune_ffn(teacher, 0.5), replace(kept, progress=silent), COURSE)

    assert checkpoint.is_file()
    assert checkpoint.with_suffix(".json").is_file()


def test_a_graph_that_can_t_be_trained_names_the_operator(lesson: Lesson) -> None:
    model = exported_bert()
    next(node for node in model.graph.node if node.op_type == "Softmax").op_type = "Hardmax"

    with pytest.raises(InvalidModel) as caught:
        run_recipe(Draft(model=model, lesson=lesson), parse("recover"))

    assert caught.value.what == "`recover`: Hardmax can't be trained"


def test_a_draft_without_a_lesson_says_so() -> None:
    with pytest.raises(InvalidModel) as caught:
        run_recipe(Draft(model=exported_bert()), parse("recover"))

    assert "nothing to learn from" in caught.value.what


def matrices(model: onnx.ModelProto) -> dict[str, np.ndarray]:
    return {
        one.name: onnx.numpy_helper.to_array(one)
        for one in model.graph.initializer
        if len(one.dims) == 2 and min(one.dims) > 2
    }
