"""Mobile artifacts: a model and example inputs in, checked `.ort`, `.tflite`, `.pte` out.

Each is written aside, loaded again by its own runtime, compared with the source, and only then
renamed into place. Read `export.py` first.
"""

from edgewise.optimize.mobile.compare import Bounds, Comparison, compare
from edgewise.optimize.mobile.export import MobileArtifact, MobileFormat, export_mobile

__all__ = ["Bounds", "Comparison", "MobileArtifact", "MobileFormat", "compare", "export_mobile"]
