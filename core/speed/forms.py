"""What there is to measure of a run: its teacher and its student, each as it was saved and as it was exported.

Importing this file does not load torch; everything is read from config.json and the names of files.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from core.errors import DistilleryError
from core.export.onnx_forms import onnx_files
from core.models.description import read_description
from core.models.folder import CONFIG, WEIGHTS, ModelFolder, file_sha256
from core.models.layout import head_of
from core.models.shape import MB, Shape
from core.runs.comparable import ROLES, Role, model_folders
from core.speed.measurement import Runtime


@dataclass(frozen=True)
class Form:
    """A model as one runtime opens it: the file that holds its weights, and its shape."""

    role: Role
    runtime: Runtime
    file: Path
    shape: Shape

    @property
    def key(self) -> str:
        """ "student/int8": no other form of the run has the same."""
        return f"{self.role}/{self.runtime}"

    @property
    def name(self) -> str:
        """What sentences call it: "the student as int8 ONNX"."""
        return f"the {self.role}" + {"torch": "", "onnx": " as ONNX", "int8": " as int8 ONNX"}[self.runtime]

    @property
    def disk_mb(self) -> float:
        """Megabytes (10^6 bytes) of the file that holds its weights."""
        return self.file.stat().st_size / MB


def forms_of(run_dir: Path) -> list[Form]:
    """Every form of the run's models, the teacher's first. Raises DistilleryError if there is no student to measure."""
    folders = model_folders(run_dir)
    shapes = {role: _shape(folders[role]) for role in ROLES}
    saved = [Form(role, "torch", folders[role] / WEIGHTS, shapes[role]) for role in ROLES]
    return saved + [Form("student", runtime, path, shapes["student"]) for runtime, path in onnx_files(run_dir).items()]


def weights_of(run_dir: Path) -> dict[Role, str]:
    """SHA-256 of both models' weights, by role: those their manifests name, so nothing large is read.

    Raises DistilleryError if there is no student to measure.
    """
    folders = model_folders(run_dir)
    return {role: _sha256(folders[role]) for role in ROLES}


def _shape(folder: Path) -> Shape:
    opened = ModelFolder(folder)
    description = read_description(opened)
    return description.shape(head_of(description, opened.where(CONFIG)))


def _sha256(folder: Path) -> str:
    opened = ModelFolder(folder)
    try:
        return opened.manifest.get(WEIGHTS) or file_sha256(folder / WEIGHTS)
    except OSError as error:
        raise DistilleryError(f"{opened.where(WEIGHTS)} cannot be read: {error.strerror}.") from error
