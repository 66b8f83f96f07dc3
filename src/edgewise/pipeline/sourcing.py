"""All that a source model is read from, as one hash: what is built of it depends on that."""

import hashlib

from edgewise.optimize import hash_made, source_files
from edgewise.pipeline.cache import hash_path
from edgewise.records import ModelSpec

_TOKENIZERS = ("tokenizer.json", "vocab.txt")


def hash_source(model: ModelSpec) -> str:
    """Hash a model, in hex, with the weights and the tokenizer that lie beside its file.

    A factory is called: nobody else knows what weights it reads.

    Raises
    ------
    StorageError
        When a file can't be read.
    """
    source, tokenizer = model.source, model.tokenizer
    files = [source] if source.is_dir() else source_files(source)
    if tokenizer is not None:
        files.append(tokenizer)
    elif not source.is_dir():
        beside = (source.with_name(name) for name in _TOKENIZERS)
        files += [path for path in beside if path.is_file()]
    parts = [*map(hash_path, files), hash_made(source)]
    return hashlib.sha256("/".join(parts).encode()).hexdigest()
