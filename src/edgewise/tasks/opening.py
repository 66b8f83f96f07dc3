"""A manifest says which task its bundle is for."""

from pathlib import Path

from edgewise.records import BundleManifest, Task
from edgewise.tasks.protocol import TaskModel


def open_task(manifest: BundleManifest, folder: Path) -> TaskModel:
    """Open the task of a bundle.

    Raises
    ------
    InvalidModel
        When the tokenizer or the image description is absent or unreadable.
    """
    if manifest.task.takes_text:
        from edgewise.tasks.features import FeatureExtraction  # noqa: PLC0415 - heavy
        from edgewise.tasks.text import TextClassification, load_tokenizer  # noqa: PLC0415 - heavy

        tokenizer = load_tokenizer(folder / manifest.tokenizer if manifest.tokenizer else folder)
        if manifest.task is Task.FEATURE_EXTRACTION:
            return FeatureExtraction(tokenizer, (), manifest.max_length)
        return TextClassification(tokenizer, manifest.labels, manifest.max_length)
    from edgewise.tasks.image import ImageClassification  # noqa: PLC0415 - heavy

    return ImageClassification(manifest.image, manifest.labels, str(folder))
