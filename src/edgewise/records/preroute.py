"""The weights of a fitted pre-router, small enough to travel inside a policy."""

from dataclasses import dataclass

from edgewise.errors import InvalidRecord

READER = 1
"""The version of what is read off a prompt; weights fitted on another reader mean nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PreRouterEvidence:
    """What was seen when the weights were fitted, on prompts that the part judged did not see."""

    n: int
    groups: int
    """How many groups were kept whole; 0 where none were given."""
    mean_gain: float
    apgr: float | None
    """Area under the gap recovered over the share sent far; chance gives 0.5. `None` where the
    mean gain is not above zero."""
    mse: float
    """Mean squared error of the gain; always giving the mean has `mse_of_mean`."""
    mse_of_mean: float


@dataclass(frozen=True, slots=True, kw_only=True)
class PreRouterWeights:
    """A sum: `offset`, a weight for each word and pair of words, and a leaf of each tree.

    Arrays are base64 of little-endian numbers, C order. `edgewise.preroute` reads them.
    """

    reader: int = READER
    offset: float = 0.0
    word_bits: int
    """Words are hashed to this many bits."""
    words: str
    """int8, one a bucket, deflated; times `word_scale`, over the root of the number of buckets."""
    word_scale: float
    depth: int
    split_features: str
    """uint16, `depth` a tree; the first that decides is the leaf's highest bit."""
    split_thresholds: str
    """float32; the bit is set where the feature is above it."""
    leaves: str
    """int16, 2**depth a tree; times `leaf_scale`."""
    leaf_scale: float
    embedding_width: int = 0
    """0 where the prompt alone is read; then `components` is empty."""
    components: str = ""
    """float32, (k, `embedding_width`): what of the embedding follows the prompt's own features."""
    evidence: PreRouterEvidence | None = None

    def __post_init__(self) -> None:
        if self.reader != READER:
            what = f"fitted on reader {self.reader}, and this edgewise has {READER}"
            raise InvalidRecord(what, where="PreRouterWeights", hint="fit the pre-router anew")
        if not (8 <= self.word_bits <= 24 and 1 <= self.depth <= 8 and self.embedding_width >= 0):
            what = (
                f"{self.word_bits} bits a word, trees of depth {self.depth}, "
                f"an embedding of width {self.embedding_width}"
            )
            hint = "give 8 to 24 bits, a depth of 1 to 8 and a width from 0"
            raise InvalidRecord(what, where="PreRouterWeights", hint=hint)
