"""Training of torch modules: distillation, recovery after pruning, quantization-aware tuning.

A module and examples go in, a trained copy and a `TrainingRecord` come out. The three modules
`distill`, `recover` and `qat` need the extra `torch` and are imported by name; all of them run the
one loop in `loop.py`. Read `records.py` first.
"""

from edgewise.optimize.training.records import (
    Ending,
    Lesson,
    LossWeights,
    StudentShape,
    Supervision,
    TrainingData,
    TrainingRecord,
    TrainingSettings,
)

__all__ = [
    "Ending",
    "Lesson",
    "LossWeights",
    "StudentShape",
    "Supervision",
    "TrainingData",
    "TrainingRecord",
    "TrainingSettings",
]
