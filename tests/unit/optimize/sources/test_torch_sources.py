"""Modules, TorchScript files, exported programs and folders of transformers become sources."""

import contextlib
import io
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_torch
import torch
import transformers
from torch import nn

from edgewise.errors import InvalidModel
from edgewise.optimize.graphs.outputs import outputs_of
from edgewise.optimize.sources import open_source
from edgewise.optimize.sources.torch_module import (
    EXPORTER_KEY,
    export_module,
    load_factory,
    open_module,
    open_torch_file,
)
from edgewise.optimize.sources.transformers_folder import open_folder
from edgewise.runtimes import find_runtime

pytestmark = [pytest.mark.heavy, pytest.mark.filterwarnings("ignore")]
IDS = {
    "input_ids": np.array([[2, 7, 9, 11, 3], [2, 5, 3, 0, 0]]),
    "attention_mask": np.array([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0]]),
    "token_type_ids": np.zeros((2, 5), np.int64),
}
LONGER = {
    "input_ids": np.array([[2, 7, 9, 11, 5, 6, 3]]),
    "attention_mask": np.ones((1, 7), np.int64),
    "token_type_ids": np.zeros((1, 7), np.int64),
}
PIXELS = np.random.default_rng(0).normal(size=(1, 3, 16, 16)).astype(np.float32)
LABELS = ("negative", "positive")


class Words(nn.Module):  # type: ignore[misc, unused-ignore]
    """A bag of words with a head."""

    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(24, 8)
        self.out = nn.Linear(8, 2)

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        shown = self.words(input_ids) * attention_mask.unsqueeze(-1)
        return self.out(shown.sum(dim=1))


class Eigen(nn.Module):  # type: ignore[misc, unused-ignore]
    """What ONNX has no operation for."""

    def forward(self, x: Any) -> Any:
        return torch.linalg.eigvalsh(x.unsqueeze(1) * x.unsqueeze(2))


class Branch(nn.Module):  # type: ignore[misc, unused-ignore]
    """What a trace can't see: another answer for a larger batch."""

    def forward(self, x: Any) -> Any:
        return x * 3 if x.shape[0] > 2 else x * 2


def make_words() -> nn.Module:
    torch.manual_seed(0)
    return Words().eval()


def make_nothing() -> int:
    return 3


def make_conv() -> nn.Module:
    torch.manual_seed(0)
    layers = (nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.AdaptiveAvgPool2d(1))
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(4, 3)).eval()


def run(model: Any, inputs: dict[str, Any], folder: Path) -> Any:
    path = folder / "out.onnx"
    path.write_bytes(model.SerializeToString())
    session = find_runtime("onnxruntime").load(path)
    found = session.run(inputs)[session.output_names[0]]
    session.close()
    return found


def answer(module: Any, inputs: dict[str, Any]) -> Any:
    with torch.no_grad():
        found = module(**{name: torch.from_numpy(value) for name, value in inputs.items()})
    return getattr(found, "logits", found).numpy()


def test_a_module_of_transformers_gives_its_own_logits_at_any_length_and_batch(
    tmp_path: Path,
) -> None:
    module = tiny_torch.make_sharp(tiny_torch.make_bert(layers=3))

    source = open_module(module, LABELS, IDS)

    assert source.has_head
    assert source.layers == 3
    for inputs in (IDS, LONGER):
        found = run(source.classifier(3, None), inputs, tmp_path)
        assert np.abs(found - answer(module, inputs)).max() <= 1e-4


def test_a_modules_cut_gives_the_features_of_its_layer(tmp_path: Path) -> None:
    module = tiny_torch.make_sharp(tiny_torch.make_bert(layers=3))
    source = open_module(module, LABELS, IDS)
    head = (np.eye(32, dtype=np.float32), np.zeros(32, np.float32))

    found = run(source.classifier(2, head), IDS, tmp_path)

    with torch.no_grad():
        hidden = module(
            **{name: torch.from_numpy(value) for name, value in IDS.items()},
            output_hidden_states=True,
        ).hidden_states
    assert np.abs(found - hidden[2][:, 0].numpy()).max() <= 1e-4


def test_a_convolution_net_keeps_its_size_and_opens_its_batch(tmp_path: Path) -> None:
    module = make_conv()

    source = open_module(module, ("a", "b", "c"), {"pixels": PIXELS})

    four = np.repeat(PIXELS, 4, axis=0)
    found = run(source.classifier(1, None), {"pixels": four}, tmp_path)
    with torch.no_grad():
        wanted = module(torch.from_numpy(four)).numpy()
    assert source.has_head
    assert np.abs(found - wanted).max() <= 1e-4


def test_the_module_given_stays_in_its_mode_and_the_model_says_its_exporter() -> None:
    module = make_words().train()

    model = export_module(module, {name: IDS[name] for name in ("input_ids", "attention_mask")})

    assert module.training
    assert [one.value for one in model.metadata_props if one.key == EXPORTER_KEY] == ["older"]


def test_a_script_of_text_needs_no_example(tmp_path: Path) -> None:
    module = make_words()
    torch.jit.script(module).save(tmp_path / "words.pt")

    source = open_source(tmp_path / "words.pt", LABELS)

    inputs = {name: IDS[name] for name in ("input_ids", "attention_mask")}
    assert source.has_head
    assert source.folder == tmp_path
    found = run(source.classifier(1, None), inputs, tmp_path)
    assert np.abs(found - answer(module, inputs)).max() <= 1e-4


def test_a_script_of_images_needs_an_example(tmp_path: Path) -> None:
    path = tmp_path / "conv.pt"
    torch.jit.trace(make_conv(), torch.from_numpy(PIXELS)).save(path)

    with pytest.raises(InvalidModel) as refused:
        open_torch_file(path, ())
    source = open_source(path, ("a", "b", "c"), {"input": PIXELS})

    assert source.has_head
    assert refused.value.where == str(path)
    assert "nothing of the shape of its inputs" in refused.value.what
    assert refused.value.hint == "give an example input"


@pytest.mark.parametrize("by_name", [False, True])
def test_an_exported_program_brings_its_example(tmp_path: Path, *, by_name: bool) -> None:
    module = make_words()
    named = {name: torch.from_numpy(IDS[name].copy()) for name in ("input_ids", "attention_mask")}
    sizes = {0: torch.export.Dim("batch"), 1: torch.export.Dim("length")}
    program = torch.export.export(
        module,
        () if by_name else tuple(named.values()),
        named if by_name else {},
        dynamic_shapes=dict.fromkeys(named, sizes),
    )
    torch.export.save(program, tmp_path / "words.pt2")

    source = open_source(tmp_path / "words.pt2", LABELS)

    inputs = {name: LONGER[name] for name in named}
    found = run(source.classifier(1, None), inputs, tmp_path)
    assert np.abs(found - answer(module, inputs)).max() <= 1e-4


def test_a_program_of_one_size_keeps_that_size(tmp_path: Path) -> None:
    program = torch.export.export(make_conv(), (torch.from_numpy(PIXELS),))
    torch.export.save(program, tmp_path / "conv.pt2")

    source = open_source(tmp_path / "conv.pt2", ("a", "b", "c"))

    shape = source.classifier(1, None).graph.input[0].type.tensor_type.shape
    assert [one.dim_value for one in shape.dim] == [1, 3, 16, 16]


def test_a_factory_is_called_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "factories", sys.modules[__name__])

    source = open_source(tmp_path / "factories:make_words", LABELS)

    assert source.has_head


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("absent_package:make", "No module named 'absent_package'"),
        ("factories:absent", "no attribute 'absent'"),
        ("factories:make_nothing", "it makes a `int`"),
    ],
)
def test_a_name_that_makes_no_module_is_refused(
    monkeypatch: pytest.MonkeyPatch, name: str, what: str
) -> None:
    monkeypatch.setitem(sys.modules, "factories", sys.modules[__name__])

    with pytest.raises(InvalidModel) as refused:
        load_factory(name)

    assert refused.value.where == name
    assert what in refused.value.what
    assert refused.value.hint


def test_an_operator_without_an_onnx_form_is_named_with_its_layer(
    capfd: pytest.CaptureFixture[str],
) -> None:
    module = nn.Sequential(nn.Linear(3, 3), Eigen())

    with pytest.raises(InvalidModel) as refused:
        export_module(module, {"x": PIXELS[0, 0, :2, :3]})

    assert refused.value.where == "Sequential"
    assert "`aten::linalg_eigvalsh` in the layer `1` has no ONNX form" in refused.value.what
    assert "replace it" in refused.value.hint
    assert capfd.readouterr().out == ""


def test_a_branch_that_a_trace_can_not_see_is_found_by_the_answers() -> None:
    module = nn.Sequential(nn.Linear(3, 3), Branch())

    with pytest.raises(InvalidModel) as refused:
        export_module(module, {"x": PIXELS[0, 0, :2, :3]})

    assert refused.value.where == "Sequential"
    assert "answers otherwise on (3, 3)" in refused.value.what
    assert "`older`" in refused.value.what
    assert "`torch.export`" in refused.value.what
    assert "branches" in refused.value.hint


def test_the_layer_that_does_not_take_the_example_is_named() -> None:
    module = nn.Sequential(nn.Linear(3, 3), nn.Linear(4, 4))

    with pytest.raises(InvalidModel) as refused:
        export_module(module, {"x": PIXELS[0, 0, :2, :3]})

    assert "in the layer `1`" in refused.value.what
    assert "an example that the module takes" in refused.value.hint


def test_weights_that_give_no_numbers_are_said() -> None:
    module = nn.Linear(3, 2)
    with torch.no_grad():
        module.weight.fill_(float("nan"))

    with pytest.raises(InvalidModel) as refused:
        export_module(module, {"x": PIXELS[0, 0, :2, :3]})

    assert "not finite" in refused.value.what
    assert "weights" in refused.value.hint


@pytest.mark.parametrize(
    ("name", "what"),
    [("x.pt", "not a TorchScript file"), ("x.pt2", "not an exported program")],
)
def test_bytes_that_are_no_module_are_refused(tmp_path: Path, name: str, what: str) -> None:
    path = tmp_path / name
    path.write_bytes(b"nothing")

    with pytest.raises(InvalidModel) as refused:
        open_torch_file(path, ())

    assert refused.value.where == str(path)
    assert what in refused.value.what
    assert "save it with" in refused.value.hint


def test_a_pickled_module_is_no_model(tmp_path: Path) -> None:
    path = tmp_path / "pickled.pt"
    torch.save(make_words(), path)

    with pytest.raises(InvalidModel) as refused:
        open_torch_file(path, ())

    assert "not a TorchScript file" in refused.value.what


class Loud:
    """Prints when it is unpickled."""

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return print, ("unpickled",)


def test_nothing_in_an_exported_program_is_unpickled(tmp_path: Path) -> None:
    import zipfile  # noqa: PLC0415 - here alone

    path = tmp_path / "loud.pt2"
    program = torch.export.export(make_conv(), (torch.from_numpy(PIXELS),))
    torch.export.save(program, path)
    loud = io.BytesIO()
    torch.save(Loud(), loud)
    changed = tmp_path / "changed.pt2"
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(changed, "w") as new:
        for name in old.namelist():
            new.writestr(name, loud.getvalue() if name.endswith(".pt") else old.read(name))
    printed = io.StringIO()

    with pytest.raises(InvalidModel) as refused, contextlib.redirect_stdout(printed):
        open_torch_file(changed, ())

    assert printed.getvalue() == ""
    assert "only unpickling could read" in refused.value.what
    assert "tensors alone" in refused.value.hint


def test_an_image_classifiers_folder_becomes_a_source(tmp_path: Path) -> None:
    torch.manual_seed(0)
    config = transformers.ViTConfig(
        hidden_size=16,
        num_hidden_layers=3,
        num_attention_heads=2,
        intermediate_size=24,
        image_size=8,
        patch_size=4,
        num_channels=1,
        id2label={0: "cat", 1: "dog", 2: "owl"},
        label2id={"cat": 0, "dog": 1, "owl": 2},
    )
    module = transformers.ViTForImageClassification(config).eval()
    module.save_pretrained(tmp_path)

    source = open_source(tmp_path, ())

    pixels = np.random.default_rng(1).normal(size=(3, 1, 8, 8)).astype(np.float32)
    found = run(source.classifier(source.layers, None), {"pixel_values": pixels}, tmp_path)
    assert source.labels == ("cat", "dog", "owl")
    assert source.has_head
    assert np.abs(found - answer(module, {"pixel_values": pixels})).max() <= 1e-4


@pytest.mark.parametrize("kind", ["Albert", "Electra"])
def test_a_text_family_that_numpy_can_not_write_goes_through_torch(
    tmp_path: Path, kind: str
) -> None:
    torch.manual_seed(0)
    config = getattr(transformers, f"{kind}Config")(
        vocab_size=24,
        embedding_size=16,
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=24,
        max_position_embeddings=40,
    )
    module = getattr(transformers, f"{kind}ForSequenceClassification")(config).eval()
    tiny_torch.make_sharp(module)
    module.save_pretrained(tmp_path)

    source = open_folder(tmp_path, LABELS)

    found = run(source.classifier(source.layers, None), LONGER, tmp_path)
    assert (source.labels, source.max_length) == (LABELS, 40)
    assert np.abs(found - answer(module, LONGER)).max() <= 1e-4


@pytest.mark.parametrize(
    ("kind", "pad", "length"), [("Electra", 30, 40), ("Electra", 60, 40), ("Camembert", 3, 36)]
)
def test_only_who_counts_positions_from_the_padding_has_fewer_of_them(
    tmp_path: Path, kind: str, pad: int, length: int
) -> None:
    config = getattr(transformers, f"{kind}Config")(
        vocab_size=64,
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=24,
        max_position_embeddings=40,
        pad_token_id=pad,
    )
    getattr(transformers, f"{kind}Model")(config).save_pretrained(tmp_path)

    assert open_folder(tmp_path, ()).max_length == length


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_a_folder_stored_in_16_bits_becomes_a_model_in_32(
    tmp_path: Path, dtype: torch.dtype
) -> None:
    config = transformers.ElectraConfig(
        vocab_size=40,
        hidden_size=16,
        embedding_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=32,
    )
    transformers.ElectraModel(config).to(dtype).save_pretrained(tmp_path)

    source = open_folder(tmp_path, ())

    ids = np.arange(6, dtype=np.int64)[None]
    given = {"input_ids": ids, "attention_mask": ids * 0 + 1, "token_type_ids": ids * 0}
    found = outputs_of(source.encoder(source.layers), [given], "embedding")[0]
    assert found.shape == (1, 16)
    assert np.isfinite(found).all()


def test_a_folder_that_transformers_does_not_know_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "unheard"}', encoding="utf-8")

    with pytest.raises(InvalidModel) as refused:
        open_source(tmp_path, ())

    assert refused.value.where == str(tmp_path / "config.json")
    assert "`unheard`: transformers can't load it" in refused.value.what
    assert "model.safetensors" in refused.value.hint
