"""The teacher's own stage: it learns the task once and is kept on disk for every later run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from transformers import PreTrainedModel, PreTrainedTokenizerBase

from core.distill.loop import Schedule, is_due, train
from core.distill.objective import Objective
from core.distill.session import Session
from core.errors import DistilleryError
from core.models.in_memory import on_device
from core.models.saved import ModelError, load_model, save_model
from core.storage import sync

SCORES = 3


def teach_teacher(session: Session, objective: Objective) -> PreTrainedModel:
    """The teacher after its stage; as it is where no epochs are asked for."""
    chosen, recorder = session.settings.teacher, session.recorder
    model = on_device(objective.new_teacher(), session.compute.device)
    if chosen.epochs == 0:
        return model
    lesson = objective.teacher_lesson(model)
    schedule = Schedule(chosen.epochs, chosen.batch_size, chosen.learning_rate, warmup=0.05, seed=chosen.seed)
    total = schedule.total_steps(len(lesson.lengths))

    def observe(step: int) -> None:
        if is_due(step, total, SCORES):
            answers = objective.answers(model, "validation", "Scoring the teacher on the texts set aside")
            recorder.score(step, score=objective.score(answers, "validation"))

    recorder.stage("teacher", total, metric=objective.metric)
    train(lesson, schedule, session.compute, recorder, observe, "teacher", session.keeper)
    return model


def load_or_make(
    folder: Path, tokenizer: PreTrainedTokenizerBase, make: Callable[[], PreTrainedModel]
) -> PreTrainedModel:
    """The teacher kept in `folder`, or a new one that is then kept there. Dropout off, no gradients.

    Raises ModelError, saying what to delete, if the one that is kept there is damaged.
    """
    model: PreTrainedModel
    if (folder / "config.json").exists():
        try:
            model, _ = load_model(folder)
        except ModelError as error:
            raise ModelError(f"{error} Delete {folder.parent}, and the next run trains the teacher anew.") from error
    else:
        model = make()
        folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        save_model(model, tokenizer, folder)
        # The names of new folders too: a student's checkpoints will rely on this teacher.
        for place in (folder.parents[1], folder.parents[2]):
            sync(place)
    return model.requires_grad_(False).eval()


def check_worth_teaching(score: float | None, majority: float | None, count: int) -> None:
    """Raise DistilleryError if the teacher is no better than always giving the same answer.

    `score` is a share, or with `majority` None a correlation; `count` is how many answers it was taken over.
    """
    chance = majority or 0.0
    spread = (chance * (1 - chance) / count) ** 0.5 if majority is not None else count**-0.5
    if score is not None and score > chance + spread:
        return
    reached = "is undefined" if score is None else f"is {score:.1%}" if majority is not None else f"is {score:.3f}"
    blind = f" ({majority:.1%})" if majority is not None else ""
    raise DistilleryError(
        f"The teacher's score on the held-out texts {reached}, no better than always giving the most frequent "
        f"answer{blind}, so it has nothing to teach. "
        "Give the teacher more epochs, more data or another learning rate."
    )
