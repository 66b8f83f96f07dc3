"""What a task means: input to tensors, logits to predictions, and its quality metric.

A manifest goes in, a `TaskModel` comes out. Read `protocol.py` first.
"""

from edgewise.tasks.metric import accuracy, wilson_interval
from edgewise.tasks.opening import open_task
from edgewise.tasks.protocol import TaskModel
from edgewise.tasks.samples import sample_inputs

__all__ = ["TaskModel", "accuracy", "open_task", "sample_inputs", "wilson_interval"]
