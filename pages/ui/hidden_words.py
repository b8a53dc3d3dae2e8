"""Words that models put in place of a hidden one, on the screen: cards for one sentence, a table for several.

A word that every model names carries the same mark everywhere: a dot, or where both lists are in one picture a line
between them, in the text's own colour, which on these pages stands for agreement. Of three models, a ring marks a word
that two name.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING

import streamlit as st

from core import numbers
from core.config import MASK
from core.scoring.hidden_words import HiddenWords, Word
from pages.ui.answers import (
    SAW_THE_BEGINNING,
    mean_times,
    show_card_head,
    show_finding,
    sure_column,
    time_column,
)
from pages.ui.compare.names import all_of, colour_of, title_of
from pages.ui.marks import fit, short, style, svg
from pages.ui.stacks import theme_type
from pages.ui.text import clean
from pages.ui.theme import STUDENT, TEACHER, text_colour

if TYPE_CHECKING:
    import pandas as pd

ROW, BAR, LONGEST = 46, 10, 20
"""Pixels: one word with its bar, and the bar; and the most characters of a word."""

LINE, HEAD, FOOT = 38, 40, 28
"""Of a picture with two lists: pixels of one line, of the names above and of the words below."""

ROOM, ROOM_BELOW = (13, 10), 44
"""How many letters there is room for: in a list, on a wide picture and on a narrow one, and below the lists."""


def show_hidden_words(found: Sequence[HiddenWords], whose: Mapping[str, str] | None = None) -> None:
    """The answer: cards for one sentence, a table for several, and what could not be asked.

    `whose` says below each name what that model is.
    """
    asked = [each for each in found if each.guessed]
    if len(found) == 1 and not asked:
        st.info(f"{found[0].reason} Put {MASK} in place of the word that the models should guess.")
        return
    if len(found) == 1:
        _show_one(asked[0], whose or {})
    elif asked:
        _show_several(asked)
    for note in notes(found):
        st.caption(note)


def verdict(found: HiddenWords) -> str:
    """What the models would say, in one line: "Both would say “good”." """
    places = range(found.guessed)
    agreeing = [place for place in places if found.agree(place)]
    first = [found.first_words(place) for place in places]
    if len(agreeing) == len(first):
        return (
            f"{all_of(len(first[0]))} would say {' and '.join(_quoted(next(iter(words.values()))) for words in first)}."
        )
    if len(first) > 1:
        return f"They would say the same for {len(agreeing)} of {len(first)} hidden words."
    (role, word), *others = first[0].items()
    rest = "".join(f", the {other} {_quoted(said)}" for other, said in others)
    return f"The {role} would say {_quoted(word)}{rest}."


def shared_words(found: HiddenWords) -> str:
    """Which of the words are on every list, in one line."""
    both = "both lists" if len(found.answers) == 2 else f"all {len(found.answers)} lists"
    shared = [word for place in range(found.guessed) for word in found.shared(place)]
    named = sum(len(words) for words in next(iter(found.answers.values())).places)
    if not shared or found.guessed > 1:
        return f"{len(shared) or 'None'} of the {named} words {'are' if len(shared) > 1 else 'is'} on {both}."
    return f"On {both}: {', '.join(clean(word) for word in shared)} ({len(shared)} of {named})."


def notes(found: Sequence[HiddenWords]) -> list[str]:
    """One sentence for everything that was not asked, or not read."""
    said: list[str] = []
    if len(found) > 1:
        for reason in dict.fromkeys(each.reason for each in found if each.reason):
            lines = [str(number) for number, each in enumerate(found, 1) if each.reason == reason]
            said.append(f"{'Line' if len(lines) == 1 else 'Lines'} {', '.join(lines)}: {reason}")
    if any(0 < each.guessed < each.hidden for each in found):
        said.append("A sentence hides more words than are guessed here at once. The first of them are shown.")
    if any(guesses.was_cut for each in found for guesses in each.answers.values()):
        said.append(SAW_THE_BEGINNING)
    return said


def partly_shared(found: HiddenWords, place: int) -> set[str]:
    """The words that more than one model names at a place, but not all of them."""
    lists = [{word.text for word in guesses.places[place]} for guesses in found.answers.values()]
    named = set.union(*lists)
    return {word for word in named if 1 < sum(word in words for words in lists) < len(lists)}


def word_bars(
    words: Sequence[Word], shared: Sequence[str], top: float, colour: str, partly: Collection[str] = ()
) -> str:
    """SVG: one bar for each word with its per cent, the longest for a probability of `top`.

    Words that are `shared` carry a dot, those that are `partly` shared a ring.
    """
    text, drawing = text_colour(theme_type()), ""
    for place, word in enumerate(words):
        y, both = place * ROW, word.text in shared
        look = f'y="{y + 21}" font-size="19" font-weight="{700 if both else 400}" fill="{text}"'
        if both:
            drawing += f'<circle cx="6" cy="{y + 15}" r="5" fill="{text}"/>'
        if word.text in partly:
            drawing += f'<circle cx="6" cy="{y + 15}" r="4" fill="none" stroke="{text}" stroke-width="2"/>'
        drawing += f'<text x="20" {look}>{escape(short(word.text, LONGEST))}</text>'
        drawing += f'<text x="100%" text-anchor="end" {look}>{numbers.percent(word.probability)}</text>'
        width = 100 * word.probability / top
        drawing += f'<rect x="0" y="{y + 29}" height="{BAR}" rx="4" width="{width:.2f}%" fill="{colour}"/>'
    return svg(ROW * len(words), drawing)


def two_lists(teacher: Sequence[Word], student: Sequence[Word], top: float, lines: int, changes: Sequence[str]) -> str:
    """SVG: the teacher's words on the left, the student's on the right, and a line between words that both name.

    Bars grow outwards, the longest for a probability of `top`. Below stand the `changes` of the student's first word.
    The height is that of `lines` words, whatever is there.
    """
    # Words large enough for the back of a room.
    sizes = style("word", 22, narrow=15) + style("name", 16, narrow=14) + style("share", 16, narrow=12)
    drawing = sizes + _list("teacher", teacher, top) + _list("student", student, top)
    places = {word.text: place for place, word in enumerate(student)}
    for place, word in enumerate(teacher):
        if word.text in places:
            ends = f'y1="{_middle(place)}" y2="{_middle(places[word.text])}"'
            look = f'stroke="{text_colour(theme_type())}" stroke-width="3" stroke-linecap="round"'
            drawing += f'<line x1="45%" x2="55%" {ends} {look}/>'
    below = f'y="{HEAD + LINE * lines + 22}" fill="{text_colour(theme_type())}"'
    drawing += f'<text class="share" x="0" {below}>{escape(how_it_changed(changes))}</text>'
    return svg(HEAD + LINE * lines + FOOT, drawing)


def how_it_changed(changes: Sequence[str]) -> str:
    """The student's first words one after the other, as many of the last ones as fit on a line."""
    kept = [short(word, LONGEST) for word in changes]
    start = "First word so far: "
    while len(kept) > 1 and len(start) + len(" → ".join(kept)) > ROOM_BELOW:
        kept, start = kept[1:], "First word so far: … → "
    return start + " → ".join(kept)


def table(found: Sequence[HiddenWords]) -> pd.DataFrame:
    """One row a hidden word: whether the first words agree, each model's word, how sure (0 to 100), and the times."""
    import pandas as pd

    rows = []
    for each in found:
        for place in range(each.guessed):
            row: dict[str, str | float] = {"Agree": "yes" if each.agree(place) else "no"}
            row["Sentence"] = clean(each.sentence)
            if any(other.guessed > 1 for other in found):
                row["Word"] = f"{place + 1} of {each.guessed}"
            for role, guesses in each.answers.items():
                row[f"{title_of(role)} says"] = clean(guesses.places[place][0].text)
                row[f"{title_of(role)} sure"] = 100 * guesses.places[place][0].probability
            row["On all lists"] = ", ".join(clean(word) for word in each.shared(place))
            row |= {f"{title_of(role)} ms": guesses.milliseconds for role, guesses in each.answers.items()}
            rows.append(row)
    return pd.DataFrame(rows)


def _show_one(found: HiddenWords, whose: Mapping[str, str]) -> None:
    show_finding(verdict(found), shared_words(found))
    columns = st.columns(len(found.answers))
    tops = [
        max(guesses.places[place][0].probability for guesses in found.answers.values())
        for place in range(found.guessed)
    ]
    for column, (role, guesses) in zip(columns, found.answers.items(), strict=True):
        with column.container(border=True, height="stretch"):
            first = [words[0].text for words in guesses.places[: found.guessed]]
            show_card_head(role, "would say", ", ".join(first), guesses.milliseconds, whose.get(role, ""))
            for place, words in enumerate(guesses.places[: found.guessed]):
                if found.guessed > 1:
                    st.caption(f"Hidden word {place + 1} of {found.guessed}")
                marked = found.shared(place), partly_shared(found, place)
                picture = word_bars(words, marked[0], tops[place], colour_of(role), marked[1])
                st.image(picture, width="stretch", alt=f"{title_of(role)}: {_spoken(words)}")
    two = "" if len(found.answers) == 2 else ", ○ one that two of them name"
    st.caption(
        f"● marks a word that {'both' if len(found.answers) == 2 else 'all three'} name{two}. The longest bar is the "
        "most probable word of all lists."
    )


def _show_several(found: Sequence[HiddenWords]) -> None:
    rows = table(found)
    agreeing = int((rows["Agree"] == "yes").sum())
    show_finding(
        f"They would say the same for {agreeing} of {len(rows)} hidden words.",
        mean_times([each.answers for each in found]),
    )
    config: dict = {
        "Agree": st.column_config.TextColumn(width=60),
        "Sentence": st.column_config.TextColumn(width=260),
        "Word": st.column_config.TextColumn(width=60),
        "On all lists": st.column_config.TextColumn(width=120),
    }
    for role in found[0].answers:
        config[f"{title_of(role)} says"] = st.column_config.TextColumn(width=100)
        config[f"{title_of(role)} sure"] = sure_column(role, width=115)
        config[f"{title_of(role)} ms"] = time_column()
    st.dataframe(
        rows,
        hide_index=True,
        column_config=config,
        alt=f"The models' first words for {len(rows)} hidden words; {agreeing} are the same.",
    )


def _list(role: str, words: Sequence[Word], top: float) -> str:
    """One side of a picture with two lists; the teacher's bars grow to the left of the middle."""
    colour_of_text, left = text_colour(theme_type()), role == "teacher"
    near, inner, anchor = ("44%", "43%", "end") if left else ("56%", "57%", "start")
    far, far_anchor = ("0", "start") if left else ("100%", "end")
    colour = TEACHER if left else STUDENT
    head = f'x="{near}" y="20" text-anchor="{anchor}" font-weight="600" fill="{colour_of_text}"'
    drawing = f'<text class="name" {head}>{title_of(role)}</text>'
    drawing += f'<rect x="{0 if left else 56}%" width="44%" y="30" height="4" rx="2" fill="{colour}"/>'
    for place, word in enumerate(words):
        y, width = _middle(place), 44 * min(word.probability / top, 1)
        drawing += (
            f'<rect x="{44 - width if left else 56:.2f}%" width="{width:.2f}%" y="{y - 15}" height="30" rx="4" '
            f'fill="{colour}" fill-opacity="0.3"/>'
        )
        weight = 700 if place == 0 else 400
        text = short(word.text, LONGEST)
        drawing += (
            f'<text class="word" x="{inner}" y="{y + 7}" text-anchor="{anchor}" font-weight="{weight}" '
            f'fill="{colour_of_text}" {fit(text, *ROOM)}>{escape(text)}</text>'
            f'<text class="share" x="{far}" y="{y + 6}" text-anchor="{far_anchor}" fill="{colour_of_text}">'
            f"{numbers.percent(word.probability, 0)}</text>"
        )
    return drawing


def _middle(place: int) -> int:
    return HEAD + place * LINE + LINE // 2


def _quoted(word: str) -> str:
    return f"“{word}”"


def _spoken(words: Sequence[Word]) -> str:
    return ", ".join(f"{clean(word.text)} {numbers.percent(word.probability)}" for word in words)
