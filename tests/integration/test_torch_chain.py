"""A source that torch reads goes through the whole chain."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from tiny_project import SPEC, write_project

from edgewise.cli import main
from edgewise.errors import InvalidModel
from edgewise.runtimes import open_bundle, read_manifest

pytestmark = [
    pytest.mark.heavy,
    pytest.mark.integration,
    pytest.mark.filterwarnings("ignore"),  # torch warns of its own affairs
]


def write_script(folder: Path) -> None:
    """Write a bag of words that has learned the project's sentences, as TorchScript."""
    import tiny_torch  # noqa: PLC0415 - heavy
    import torch  # noqa: PLC0415 - heavy

    from edgewise.optimize.training import TrainingSettings  # noqa: PLC0415 - heavy
    from edgewise.optimize.training.recover import recover  # noqa: PLC0415 - heavy

    class Words(torch.nn.Module):  # type: ignore[misc, unused-ignore]
        def __init__(self) -> None:
            super().__init__()
            self.words = torch.nn.Embedding(24, 8)
            self.out = torch.nn.Linear(8, 2)

        def forward(self, input_ids: Any, attention_mask: Any) -> Any:
            return self.out((self.words(input_ids) * attention_mask.unsqueeze(-1)).sum(dim=1))

    torch.manual_seed(0)
    module, _ = recover(
        Words(),
        tiny_torch.read_examples(folder),
        settings=TrainingSettings(epochs=20, learning_rate=2e-2),
    )
    ids = torch.ones((2, 5), dtype=torch.int64)
    torch.jit.trace(module, (ids, ids)).save(folder / "words.pt")


def test_a_script_is_run_from_its_file_to_a_bundle(tmp_path: Path) -> None:
    spec = SPEC.replace("{source: model}", "{source: words.pt, tokenizer: model/tokenizer.json}")
    project = write_project(tmp_path, spec)
    write_script(tmp_path)

    code = main(["run", str(project), "--out", str(tmp_path / "run")])

    assert code == 0
    bundle = tmp_path / "run" / "bundle"
    assert read_manifest(bundle).source_size_bytes == (tmp_path / "words.pt").stat().st_size
    model = open_bundle(bundle)
    answers = [model.predict({"text": text}).label for text in ("lovely film", "dull story")]
    model.close()
    assert answers == ["positive", "negative"]


FACTORY = """
from pathlib import Path

import torch


class Words(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.words = torch.nn.Embedding(24, 8)
        self.out = torch.nn.Linear(8, 2)

    def forward(self, input_ids, attention_mask):
        return self.out((self.words(input_ids) * attention_mask.unsqueeze(-1)).sum(dim=1))


def make():
    made = Words()
    made.load_state_dict(torch.jit.load(Path(__file__).with_name("words.pt")).state_dict())
    return made
"""


def test_what_a_factory_makes_becomes_a_bundle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = SPEC.replace("source: model", "source: 'words_of_a_test:make', tokenizer: words.json")
    project = write_project(tmp_path, spec)
    write_script(tmp_path)
    (tmp_path / "words_of_a_test.py").write_text(FACTORY, encoding="utf-8")
    shutil.copy(tmp_path / "model/tokenizer.json", tmp_path / "words.json")
    monkeypatch.syspath_prepend(tmp_path)

    code = main(["run", str(project), "--out", str(tmp_path / "run")])

    assert code == 0
    assert read_manifest(tmp_path / "run/bundle").source_size_bytes > 24 * 8 * 4


def test_what_a_factory_makes_of_other_weights_is_built_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import torch  # noqa: PLC0415 - heavy

    spec = SPEC.replace("source: model", "source: 'turned_words_of_a_test:make', tokenizer: w.json")
    project = write_project(tmp_path, spec)
    write_script(tmp_path)
    (tmp_path / "turned_words_of_a_test.py").write_text(FACTORY, encoding="utf-8")
    shutil.copy(tmp_path / "model/tokenizer.json", tmp_path / "w.json")
    monkeypatch.syspath_prepend(tmp_path)
    found = []

    for turned in (False, False, True):
        if turned:
            script = torch.jit.load(str(tmp_path / "words.pt"))
            with torch.no_grad():
                for value in script.out.parameters():
                    value.neg_()
            script.save(str(tmp_path / "words.pt"))
        main(["run", str(project), "--out", str(tmp_path / "run"), "--json"])
        told = json.loads(capsys.readouterr().out)
        found.append((told["quality"]["source"], told["source"]["sha256"], bool(told["done"])))

    first, again, other = found
    assert first[2]
    assert again == (*first[:2], False)
    assert other[0] == pytest.approx(1 - first[0])
    assert other[1] != first[1]


def test_a_factory_that_is_not_there_is_named_by_the_chain(tmp_path: Path) -> None:
    from edgewise.optimize.sources import open_source  # noqa: PLC0415 - heavy

    with pytest.raises(InvalidModel) as refused:
        open_source(tmp_path / "nowhere.at_all:make", ())

    assert refused.value.where == "nowhere.at_all:make"
    assert "nowhere" in refused.value.what
    assert "package.module:factory" in refused.value.hint
