"""Distillation and recovery on the tiny project's sentences, and the laws of the one loop."""

import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_torch
import torch
from tiny_project import write_project
from torch import nn

from edgewise.errors import InvalidData, InvalidModel, UsageError
from edgewise.optimize.training import (
    Ending,
    LossWeights,
    StudentShape,
    Supervision,
    TrainingData,
    TrainingSettings,
)
from edgewise.optimize.training.batches import collate, order_epoch, split
from edgewise.optimize.training.distill import distill
from edgewise.optimize.training.loop import rate_share
from edgewise.optimize.training.objective import Objective, logits_loss, matching_layer
from edgewise.optimize.training.recover import recover
from edgewise.optimize.training.students import find_layers, make_student

pytestmark = [pytest.mark.heavy, pytest.mark.filterwarnings("ignore")]
BRISK = TrainingSettings(epochs=8, learning_rate=2e-3)
SHORT = TrainingSettings(max_steps=12, epochs=2, learning_rate=1e-3, evaluate_every=5)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("project")
    write_project(folder)
    return folder


@pytest.fixture(scope="module")
def data(project: Path) -> TrainingData:
    return tiny_torch.read_examples(project)


@pytest.fixture(scope="module")
def unlabelled(project: Path) -> TrainingData:
    return tiny_torch.read_examples(project, with_labels=False)


@pytest.fixture(scope="module")
def teacher(data: TrainingData) -> Any:
    """Give a model that is right, and whose layers each matter."""
    rough = tiny_torch.make_sharp(tiny_torch.make_bert(), spread=0.2)
    return recover(rough, data, settings=replace(BRISK, epochs=12))[0]


def prune(module: Any, share: float) -> Any:
    """Put the smallest weights of every matrix in the encoder and the pooler to 0."""
    found = copy.deepcopy(module)
    with torch.no_grad():
        for name, one in found.named_parameters():
            if one.ndim > 1 and ("encoder" in name or "pooler" in name):
                rank = int(one.numel() * share)
                one[one.abs() <= one.abs().flatten().kthvalue(rank).values] = 0
    return found


def same(near: Any, far: Any) -> bool:
    pairs = zip(tiny_torch.weights(near).items(), tiny_torch.weights(far).items(), strict=True)
    return all(a == b and torch.equal(x, y) for (a, x), (b, y) in pairs)


def test_a_distilled_student_says_what_its_teacher_says_without_any_label(
    teacher: Any, unlabelled: TrainingData
) -> None:
    untrained = make_student(teacher, StudentShape(depth=1))

    student, record = distill(teacher, StudentShape(depth=1), unlabelled, settings=BRISK)

    before = tiny_torch.agreement(untrained, teacher, unlabelled)
    after = tiny_torch.agreement(student, teacher, unlabelled)
    assert before <= 0.6
    assert after >= 0.9
    assert record.metric == "agreement"
    assert (record.held_out, record.ending) == (30, Ending.DONE)
    assert record.before is not None
    assert record.after is not None
    assert record.before + 0.3 <= record.after
    assert record.losses[-1] < record.losses[0]


def test_a_student_of_another_shape_learns_from_hidden_states_and_attention(
    teacher: Any, data: TrainingData
) -> None:
    shape = StudentShape(depth=2, width=16, heads=1, ffn=24)
    weights = LossWeights(labels=1.0, logits=1.0, hidden=0.5, attention=0.5)

    student, record = distill(
        teacher, shape, data, weights=weights, settings=replace(BRISK, learning_rate=5e-3)
    )

    assert student.config.hidden_size == 16
    assert len(find_layers(student)) == 2
    assert record.metric == "accuracy"
    assert tiny_torch.accuracy(student, data) >= 0.9


def test_recovery_regains_what_pruning_lost_and_prunes_nothing_back(
    teacher: Any, data: TrainingData
) -> None:
    pruned = prune(teacher, 0.8)

    found, record = recover(pruned, data, keep_zeros=True, settings=BRISK)

    lost, regained = tiny_torch.accuracy(pruned, data), tiny_torch.accuracy(found, data)
    assert lost <= 0.8
    assert regained >= 0.95
    assert record.metric == "accuracy"
    for old, new in zip(pruned.parameters(), found.parameters(), strict=True):
        if old.ndim > 1:
            assert torch.equal(new[old == 0], torch.zeros_like(new[old == 0]))


def test_recovery_without_labels_learns_from_the_teacher(
    teacher: Any, unlabelled: TrainingData
) -> None:
    pruned = prune(teacher, 0.8)

    found, record = recover(pruned, unlabelled, teacher=teacher, settings=BRISK)

    assert tiny_torch.agreement(pruned, teacher, unlabelled) <= 0.8
    assert tiny_torch.agreement(found, teacher, unlabelled) >= 0.95
    assert record.metric == "agreement"


def test_the_module_and_the_teacher_given_stay_as_they_were(
    teacher: Any, data: TrainingData
) -> None:
    module, kept_teacher = tiny_torch.make_bert(layers=1), copy.deepcopy(teacher)
    kept = copy.deepcopy(module)
    chance = torch.get_rng_state()

    found, _ = distill(
        teacher, module, data, weights=LossWeights(hidden=1.0, attention=1.0), settings=SHORT
    )

    assert same(module, kept)
    assert same(teacher, kept_teacher)
    assert not same(found, module)
    assert torch.equal(chance, torch.get_rng_state())


def test_no_steps_change_nothing(teacher: Any, data: TrainingData) -> None:
    found, record = recover(teacher, data, settings=TrainingSettings(max_steps=0))

    assert same(found, teacher)
    assert (record.steps, record.losses, record.best_step) == (0, (), 0)
    assert record.before == record.after


def test_the_same_seed_gives_the_same_weights_and_another_seed_others(data: TrainingData) -> None:
    module = tiny_torch.make_bert()
    settings = replace(SHORT, held_out_share=0.0)

    first, second = (recover(module, data, settings=settings)[0] for _ in range(2))
    other, _ = recover(module, data, settings=replace(settings, seed=1))

    assert same(first, second)
    assert not same(first, other)


@pytest.mark.parametrize("held_out_share", [0.0, 0.2])
@pytest.mark.parametrize("stop_after", [1, 5, 7])
def test_an_interrupted_run_that_goes_on_is_the_uninterrupted_one(
    teacher: Any, data: TrainingData, tmp_path: Path, held_out_share: float, stop_after: int
) -> None:
    weights = LossWeights(labels=1.0, hidden=1.0)
    settings = replace(SHORT, held_out_share=held_out_share)
    steps = iter(range(1, 100))

    def go(supervision: Supervision) -> Any:
        return distill(
            teacher,
            StudentShape(depth=2),
            data,
            weights=weights,
            settings=settings,
            supervision=supervision,
        )

    whole, whole_record = go(Supervision())
    path = tmp_path / "run.safetensors"
    _, part = go(Supervision(checkpoint=path, stop=lambda: next(steps) == stop_after))
    rest, record = go(Supervision(checkpoint=path))

    assert (part.steps, part.ending) == (stop_after, Ending.STOPPED)
    assert same(rest, whole)
    assert replace(record, seconds_s=0.0) == replace(whole_record, seconds_s=0.0)
    assert [one.name for one in tmp_path.iterdir()] == ["run.safetensors"]


def test_a_crash_loses_no_more_than_the_steps_since_the_last_checkpoint(
    data: TrainingData, tmp_path: Path
) -> None:
    class Crash(Exception):
        pass

    def crash(stage: str, done: int, total: int) -> None:
        if (stage, done, total) == ("training", 8, 12):
            raise Crash

    module, path = tiny_torch.make_bert(), tmp_path / "run.safetensors"
    seen: list[int] = []
    with pytest.raises(Crash):
        recover(
            module,
            data,
            settings=SHORT,
            supervision=Supervision(checkpoint=path, checkpoint_every=3, progress=crash),
        )

    rest, _ = recover(
        module,
        data,
        settings=SHORT,
        supervision=Supervision(checkpoint=path, progress=lambda _s, done, _t: seen.append(done)),
    )

    assert seen == [7, 8, 9, 10, 11, 12]
    assert same(rest, recover(module, data, settings=SHORT)[0])


def test_a_finished_run_done_again_trains_no_more(data: TrainingData, tmp_path: Path) -> None:
    path, module = tmp_path / "run.safetensors", tiny_torch.make_bert()
    kept = Supervision(checkpoint=path, checkpoint_every=12)
    seen: list[int] = []

    first, _ = recover(module, data, settings=SHORT, supervision=kept)
    second, record = recover(
        module,
        data,
        settings=SHORT,
        supervision=replace(kept, progress=lambda _s, done, _t: seen.append(done)),
    )

    assert seen == []
    assert same(first, second)
    assert record.steps == 12


@pytest.mark.parametrize("other", ["settings", "labels", "module", "weights", "teacher", "bytes"])
def test_a_checkpoint_of_another_run_is_refused(
    data: TrainingData, tmp_path: Path, other: str
) -> None:
    path, module = tmp_path / "run.safetensors", tiny_torch.make_bert()
    kept = Supervision(checkpoint=path, checkpoint_every=1)
    recover(module, data, settings=replace(SHORT, max_steps=1), supervision=kept)
    settings = SHORT if other == "settings" else replace(SHORT, max_steps=1)
    if other == "labels":
        data = replace(data, labels=[0] * len(data.inputs))
    if other == "module":
        module = tiny_torch.make_bert(layers=2)
    if other == "weights":
        module = prune(module, 0.5)
    teacher = tiny_torch.make_bert() if other == "teacher" else None
    if other == "bytes":
        path.write_bytes(b"nothing")

    with pytest.raises(InvalidData) as refused:
        recover(module, data, teacher=teacher, settings=settings, supervision=kept)

    assert refused.value.where == str(path)
    assert "checkpoint" in refused.value.what
    assert "remove it" in refused.value.hint


def test_the_hidden_term_reaches_the_projections_and_the_attention_term_the_queries(
    teacher: Any, data: TrainingData
) -> None:
    student = make_student(teacher, StudentShape(depth=2, width=16))
    for one in (student, teacher):
        one.set_attn_implementation("eager")
    batch = collate(data, range(8))

    def gradients(weights: LossWeights) -> tuple[Objective, Any]:
        objective = Objective(weights, teacher=teacher, has_labels=True)
        objective.prepare(student, data)
        student.zero_grad()
        objective.loss(student, batch).backward()
        return objective, find_layers(student)[0].attention.self.query.weight.grad

    of_hidden, _ = gradients(LossWeights(logits=0.0, hidden=1.0))
    of_logits, _ = gradients(LossWeights(logits=1.0))
    of_attention, query = gradients(LossWeights(logits=0.0, attention=1.0))

    assert len(of_hidden.projections) == 2
    assert all(float(one.weight.grad.abs().sum()) > 0 for one in of_hidden.projections)
    assert len(of_logits.projections) == 0
    assert len(of_attention.projections) == 0
    assert float(query.abs().sum()) > 0


def test_a_student_equal_to_its_teacher_has_no_loss(teacher: Any, data: TrainingData) -> None:
    teacher.set_attn_implementation("eager")
    weights = LossWeights(logits=1.0, hidden=1.0, attention=1.0)
    objective = Objective(weights, teacher=teacher, has_labels=False)
    objective.prepare(teacher, data)

    loss = float(objective.loss(teacher, collate(data, range(8))).detach())

    assert loss == pytest.approx(0.0, abs=1e-5)


def test_the_divergence_of_answers_is_that_of_the_formula() -> None:
    student, teacher = torch.tensor([[0.0, 0.0]]), torch.tensor([[np.log(9.0) * 2, 0.0]])

    found = float(logits_loss(student, teacher, 2.0))

    # At temperature 2 the teacher says (.9, .1) and the student (.5, .5).
    wanted = 4 * (0.9 * np.log(0.9 / 0.5) + 0.1 * np.log(0.1 / 0.5))
    assert found == pytest.approx(wanted, rel=1e-5)


def test_the_layers_of_a_student_are_spread_over_the_teachers() -> None:
    assert [matching_layer(i, 2, 6) for i in range(2)] == [2, 5]
    assert [matching_layer(i, 3, 12) for i in range(3)] == [3, 7, 11]
    assert [matching_layer(i, 4, 4) for i in range(4)] == [0, 1, 2, 3]


def test_a_truncated_student_holds_the_teachers_layers(teacher: Any) -> None:
    student = make_student(teacher, StudentShape(depth=2, width=32))

    near, far = find_layers(student), find_layers(teacher)
    assert (len(near), len(far)) == (2, 4)
    assert student.config.num_hidden_layers == 2
    assert all(same(near[i], far[j]) for i, j in ((0, 1), (1, 3)))


def test_a_student_can_be_any_module(unlabelled: TrainingData, teacher: Any) -> None:
    class Bag(nn.Module):  # type: ignore[misc, unused-ignore]
        def __init__(self) -> None:
            super().__init__()
            self.words = nn.Embedding(24, 8)
            self.out = nn.Linear(8, 2)

        def forward(self, input_ids: Any, attention_mask: Any) -> Any:
            shown = self.words(input_ids) * attention_mask.unsqueeze(-1)
            return self.out(shown.sum(dim=1))

    torch.manual_seed(0)

    student, _ = distill(
        teacher, Bag(), unlabelled, settings=replace(BRISK, epochs=20, learning_rate=2e-2)
    )

    found = torch.cat(
        [
            student(torch.from_numpy(one["input_ids"]), torch.from_numpy(one["attention_mask"]))
            for one in unlabelled.inputs
        ]
    )
    same_answer = found.argmax(dim=1) == tiny_torch.answers(teacher, unlabelled).argmax(dim=1)
    assert float(same_answer.double().mean()) >= 0.9


def test_rows_are_filled_up_and_masked() -> None:
    rows = [
        {"input_ids": np.array([[5, 6, 7]]), "attention_mask": np.ones((1, 3), np.int64)},
        {"input_ids": np.array([[8]]), "attention_mask": np.ones((1, 1), np.int64)},
    ]

    batch = collate(TrainingData(inputs=rows, labels=[1, 0], pad_id=9), [1, 0])

    assert batch.inputs["input_ids"].tolist() == [[8, 9, 9], [5, 6, 7]]
    assert batch.inputs["attention_mask"].tolist() == [[1, 0, 0], [1, 1, 1]]
    assert batch.labels.tolist() == [0, 1]


def test_an_epoch_holds_each_example_once_in_batches_of_like_length() -> None:
    lengths = np.random.default_rng(0).integers(1, 30, 100)
    data = TrainingData(inputs=[{"input_ids": np.ones((1, n), np.int64)} for n in lengths])
    near, away = split(100, 0.1, 0)

    batches = order_epoch(data, near, 8, np.random.default_rng(0))

    assert sorted([*np.concatenate(batches), *away]) == list(range(100))
    assert len(away) == 10
    spread = [np.ptp(lengths[batch]) for batch in batches]
    assert np.mean(spread) < 5


def test_the_rate_rises_over_the_warm_up_and_falls_to_nothing() -> None:
    shares = [rate_share(step, 10, 0.2) for step in range(11)]

    assert shares[:3] == [0.5, 1.0, 1.0]
    assert shares[6] == 0.5
    assert shares[10] == 0.0


@pytest.mark.parametrize("strange", [2, -1])
def test_a_label_outside_the_models_range_is_named(data: TrainingData, strange: int) -> None:
    labels = [strange] * len(data.inputs)

    with pytest.raises(InvalidData) as refused:
        recover(tiny_torch.make_bert(), replace(data, labels=labels), settings=SHORT)

    assert refused.value.where == "labels"
    assert f"label {strange} is outside 0..1" in refused.value.what
    assert "as the model does" in refused.value.hint


def test_a_loss_that_is_not_finite_ends_training(data: TrainingData) -> None:
    module = tiny_torch.make_bert()
    with torch.no_grad():
        module.classifier.weight.fill_(float("nan"))

    with pytest.raises(InvalidModel) as refused:
        recover(module, data, settings=replace(SHORT, held_out_share=0.0))

    assert refused.value.where == "training"
    assert "the loss is nan at step 0" in refused.value.what
    assert "learning rate" in refused.value.hint


def test_training_without_labels_or_teacher_is_refused(unlabelled: TrainingData) -> None:
    with pytest.raises(UsageError) as refused:
        recover(tiny_torch.make_bert(), unlabelled)

    assert "nothing to learn from" in refused.value.what
    assert "teacher" in refused.value.hint


def test_a_loss_on_labels_alone_needs_labels(teacher: Any, unlabelled: TrainingData) -> None:
    with pytest.raises(UsageError) as refused:
        distill(
            teacher,
            StudentShape(depth=1),
            unlabelled,
            weights=LossWeights(labels=1.0, logits=0.0),
        )

    assert refused.value.where == "data"
    assert "there are none" in refused.value.what
    assert "give labels" in refused.value.hint


@pytest.mark.parametrize(
    ("shape", "what"),
    [
        (StudentShape(depth=5), "5 layers and the teacher 4"),
        (StudentShape(depth=1, width=30, heads=4), "4 heads don't divide a width of 30"),
    ],
)
def test_a_shape_that_can_not_be_is_refused(teacher: Any, shape: StudentShape, what: str) -> None:
    with pytest.raises(UsageError) as refused:
        make_student(teacher, shape)

    assert what in refused.value.what
    assert "give" in refused.value.hint


def test_a_teacher_without_a_configuration_needs_the_student_as_a_module() -> None:
    with pytest.raises(InvalidModel) as refused:
        make_student(nn.Linear(2, 2), StudentShape(depth=1))

    assert refused.value.where == "teacher"
    assert "`Linear`" in refused.value.what
    assert "as a module" in refused.value.hint


def test_inner_states_are_asked_only_of_modules_that_have_them() -> None:
    data = TrainingData(inputs=[{"x": np.ones((1, 4), np.float32)}] * 4)

    with pytest.raises(InvalidModel) as refused:
        distill(nn.Linear(4, 2), nn.Linear(4, 2), data, weights=LossWeights(hidden=1.0))

    assert refused.value.where == "Linear"
    assert "inner states" in refused.value.what
    assert "to 0" in refused.value.hint


def test_models_of_other_labels_do_not_fit_each_other() -> None:
    data = TrainingData(inputs=[{"x": np.ones((1, 4), np.float32)}] * 4)

    with pytest.raises(InvalidModel) as refused:
        distill(nn.Linear(4, 3), nn.Linear(4, 2), data)

    assert refused.value.where == "logits"
    assert "2 classes and the teacher 3" in refused.value.what
    assert "same labels" in refused.value.hint


def test_examples_of_two_shapes_make_no_batch() -> None:
    data = TrainingData(
        inputs=[{"x": np.ones((1, 4), np.float32)}, {"x": np.ones((1, 5), np.float32)}]
    )

    with pytest.raises(InvalidData) as refused:
        collate(data, [0, 1])

    assert refused.value.where == "inputs"
    assert "(1, 4), (1, 5)" in refused.value.what
    assert "one shape" in refused.value.hint
