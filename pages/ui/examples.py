"""Sentences to try on the Compare page, by what a run's models have learned."""

from __future__ import annotations

from core.config import GLUE_SOURCES, MASK, Settings
from core.runs.comparable import Kind, kind_of
from core.sections import DataSettings

Example = tuple[str, ...]
"""One text, or the two of a pair."""

FILMS: dict[str, Example] = {
    "Clear praise": ("A warm, funny and deeply moving film.",),
    "Clear complaint": ("A dull, lifeless mess from start to finish.",),
    "Negation": ("It is not without charm, and I was never bored.",),
    "Irony": ("Two hours of my life that I would love to have back.",),
    "Mixed": ("The acting is superb, but the story goes nowhere.",),
}
GRAMMAR: dict[str, Example] = {
    "Correct": ("The boy whom we met yesterday has left.",),
    "Wrong order": ("The boy yesterday met whom we has left.",),
    "Wrong verb": ("The boys was playing in the garden.",),
    "Question": ("What did you say that Mary bought?",),
}
HIDDEN: dict[str, Example] = {
    "Verdict": (f"The movie was absolutely {MASK}.",),
    "Noun": (f"The {MASK} was great, but the story was weak.",),
    "Feeling": (f"I have never been so {MASK} in my life.",),
    "Place": (f"She goes to the {MASK} to watch a film.",),
    "Two at once": (f"The {MASK} was good, but the {MASK} was too long.",),
}
SAME: dict[str, Example] = {
    "Same meaning": ("A man is playing a guitar.", "Somebody plays the guitar."),
    "Same words": ("The dog bit the man.", "The man bit the dog."),
    "Unrelated": ("The shares fell by four per cent.", "She planted roses behind the house."),
}
QUESTIONS: dict[str, Example] = {
    "Same question": ("How do I learn to play the piano?", "What is the best way to learn the piano?"),
    "Similar words": ("How old is the oldest tree?", "How tall is the tallest tree?"),
    "Unrelated": ("How do I learn to play the piano?", "Why is the sky blue?"),
}
ANSWERS: dict[str, Example] = {
    "Answered": ("Where was the scientist born?", "The scientist was born in a small town by the sea."),
    "Not answered": ("Where was the scientist born?", "The scientist received a prize for her work."),
}
INFERENCE: dict[str, Example] = {
    "Follows": ("A woman is cooking soup in her kitchen.", "Somebody is preparing food."),
    "Contradicts": ("A woman is cooking soup in her kitchen.", "Nobody is at home."),
    "Leaves it open": ("A woman is cooking soup in her kitchen.", "The soup is for her children."),
}

OF_TASK = {"CoLA": GRAMMAR, "QQP": QUESTIONS, "QNLI": ANSWERS, "MNLI": INFERENCE, "RTE": INFERENCE, "WNLI": INFERENCE}
OF_KIND: dict[Kind, dict[str, Example]] = {"texts": FILMS, "pairs": SAME, "words": HIDDEN}

ENDS_OF_TASK = {"STS-B": (0.0, 5.0)}
"""The scale of the tasks whose labels are a score."""


def examples_for(settings: Settings) -> dict[str, Example]:
    """What to try on a run with these settings, by name, the first one first."""
    kind = kind_of(settings)
    return OF_TASK.get(_task(settings.data), OF_KIND[kind]) if kind != "words" else HIDDEN


def known_ends(data: DataSettings) -> tuple[float, float] | None:
    """The smallest and the largest score of the data, where that is known beforehand."""
    return ENDS_OF_TASK.get(_task(data))


def _task(data: DataSettings) -> str:
    return data.task if data.source in GLUE_SOURCES else ""
