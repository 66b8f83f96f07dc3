"""How many bytes a bundle is when it travels."""

import zlib
from pathlib import Path

_LEVEL = 6
_GZIP = 16 + zlib.MAX_WBITS
_CHUNK_BYTES = 1 << 20


def compressed_size(folder: Path) -> int:
    """Count the bytes of a folder's files as one stream through gzip, in the order of names."""
    squeeze = zlib.compressobj(_LEVEL, wbits=_GZIP)
    size_bytes = 0
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        with path.open("rb") as stream:
            while chunk := stream.read(_CHUNK_BYTES):
                size_bytes += len(squeeze.compress(chunk))
    return size_bytes + len(squeeze.flush())
