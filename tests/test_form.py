"""The form: what it shows for each choice, what it refuses before anything is loaded, and what it starts."""

from __future__ import annotations

import math

import pytest

from core.config import WEIGHT_PRESETS, Settings, bounds
from core.runs import folder as runs
from pages.ui import form, numbers
from tests.drawn_pages import (
    DISTIL,
    RUNS,
    button,
    choose,
    draw,
    lid,
    made_runs,
    metric,
    open_page,
    plain,
    press,
    widget,
    words,
)

THIN = numbers.THIN

pytestmark = pytest.mark.usefixtures("home", "nothing_trains")


def test_every_setting_has_its_widget_with_its_bounds_and_default():
    at = open_page(DISTIL)
    for section, model in form.SECTIONS.items():
        for name, field in model.model_fields.items():
            if (section, name) in LEFT_OUT:
                continue
            shown = widget(at, section, name)
            if shown.type == "number_input":
                low, high = bounds(model, name)
                assert (shown.min, shown.max) == (low, high), f"{section}.{name}"
                assert shown.value == field.default and shown.help == field.description
                assert shown.label.startswith(field.title)
    assert (widget(at, "student", "layers").min, widget(at, "student", "layers").max) == (1, 6)
    assert widget(at, "student", "teacher_layers").value == [0, 2, 5]
    assert at.text_area(key="form.probes").value.splitlines() == list(Settings().probes)
    assert not button(at, "Start").disabled and not at.error


def test_the_plan_says_parameters_megabytes_and_steps():
    at = open_page(DISTIL)
    assert metric(at, "Student against teacher") == f"17.4{THIN}M of 22.7{THIN}M"
    assert f"23{THIN}% smaller, 69.6{THIN}MB of 90.9{THIN}MB" in words(at)
    # 8 530 sentences, of which 80 % are for training: 6 824, in batches of 32.
    student, teacher = Settings().training, Settings().teacher
    assert metric(at, "Steps") == str(student.epochs * math.ceil(6824 / student.batch_size))
    assert f"teacher: {teacher.epochs * math.ceil(6824 / teacher.batch_size)}" in words(at)
    choose(at, "training", "batch_size", 64)
    choose(at, "training", "epochs", 3)
    choose(at, "data", "max_examples", 1000)
    assert metric(at, "Steps") == str(3 * math.ceil(800 / 64)) == "39"
    assert f"of 64 sentences each; teacher: {teacher.epochs * math.ceil(800 / teacher.batch_size)}" in words(at)
    choose(at, "student", "layers", 6)
    # All six layers: the teacher without its two token-type rows, which the position rows take in.
    assert metric(at, "Student against teacher") == f"22.7{THIN}M of 22.7{THIN}M"
    assert f"0{THIN}% smaller" in words(at)


def test_a_trained_teacher_is_counted_as_trained(home):
    from core.distill.cache import teacher_key

    (home / "cache" / "teachers" / teacher_key(Settings()) / "model").mkdir(parents=True)
    assert "teacher: trained already" in words(open_page(DISTIL))


@pytest.mark.parametrize("preset", WEIGHT_PRESETS)
def test_a_preset_sets_the_three_weights(preset):
    at = open_page(DISTIL)
    at.button_group(key="form-preset").set_value(preset)
    draw(at)
    assert tuple(widget(at, "loss", name).value for name in ("soft", "hard", "cosine")) == WEIGHT_PRESETS[preset]
    assert at.button_group(key="form-preset").value == preset
    assert widget(at, "loss", "temperature").disabled == (WEIGHT_PRESETS[preset][0] == 0)
    press(at, "Start")
    loss = runs.read_settings(made_runs()[0]).loss
    assert (loss.soft, loss.hard, loss.cosine) == WEIGHT_PRESETS[preset]


def test_a_weight_changed_by_hand_leaves_the_preset_and_finds_it_again():
    at = choose(open_page(DISTIL), "loss", "soft", 3.0)
    assert at.button_group(key="form-preset").value is None
    choose(at, "loss", "soft", 5.0)
    assert at.button_group(key="form-preset").value == "Paper 5/2/1"


def test_three_zero_weights_are_refused_at_the_field():
    at = open_page(DISTIL)
    for name in ("soft", "hard", "cosine"):
        choose(at, "loss", name, 0.0)
    assert len(at.error) == 1
    assert "All three loss weights are 0, so the student would learn nothing; raise at least one." in plain(at)
    assert button(at, "Start").disabled
    assert "Correct the setting marked below" in words(at)
    choose(at, "loss", "hard", 0.5)
    assert not at.error and not button(at, "Start").disabled


def test_the_number_of_layers_spreads_the_map():
    at = open_page(DISTIL)
    for layers, spread in ((1, [0]), (2, [0, 5]), (4, [0, 2, 3, 5]), (6, [0, 1, 2, 3, 4, 5])):
        choose(at, "student", "layers", layers)
        assert widget(at, "student", "teacher_layers").value == spread
        assert not at.error


def test_a_map_with_the_wrong_count_is_refused_at_the_field():
    at = choose(open_page(DISTIL), "student", "teacher_layers", [0, 5])
    assert len(at.error) == 1
    assert [each.value for each in at.metric] == ["–"] * 3, "nothing below may jump"
    assert "“Copied from teacher layers” names 2 layers for a student of 3; choose exactly 3." in plain(at)
    assert button(at, "Start").disabled
    choose(at, "student", "teacher_layers", [0, 1, 5])
    assert not at.error and not button(at, "Start").disabled


def test_layers_clicked_in_any_order_are_taken_from_the_bottom_up():
    at = choose(open_page(DISTIL), "student", "teacher_layers", [5, 0, 3])
    press(at, "Start")
    assert runs.read_settings(made_runs()[0]).layer_map == (0, 3, 5), "the picture shows them so"


def test_random_weights_switch_the_map_off_whatever_it_said():
    at = choose(open_page(DISTIL), "student", "teacher_layers", [0])
    assert at.error
    choose(at, "student", "initial_weights", "random")
    assert widget(at, "student", "teacher_layers").disabled
    assert not at.error and not button(at, "Start").disabled


def test_a_cleared_number_of_examples_means_all_again():
    at = open_page(DISTIL)
    all_of_them = metric(at, "Steps")
    choose(at, "data", "max_examples", 1000)
    assert int(metric(at, "Steps")) < int(all_of_them)
    choose(at, "data", "max_examples", None)
    assert metric(at, "Steps") == all_of_them and not at.error


@pytest.mark.parametrize(
    ("probes", "complaint"),
    [("x" * 301, "301 characters"), ("\n".join("one two three four five six seven eight nine".split()), "at most 8")],
    ids=["too long", "too many"],
)
def test_sentences_to_watch_are_refused_where_they_are_typed(probes, complaint):
    at = open_page(DISTIL)
    at.text_area(key="form.probes").set_value(probes)
    draw(at)
    assert len(at.error) == 1 and complaint in at.error[0].value
    assert button(at, "Start").disabled
    (around,) = (each for each in at.expander if each.label.startswith("Sentences to watch"))
    assert around.proto.expanded, "a closed lid would hide what is wrong"


def test_the_form_is_kept_while_other_pages_are_visited():
    at = choose(open_page(DISTIL), "loss", "soft", 3.0)
    choose(at, "student", "layers", 2)
    draw(at.switch_page(RUNS))
    draw(at.switch_page(DISTIL))
    assert widget(at, "loss", "soft").value == 3.0
    assert widget(at, "student", "teacher_layers").value == [0, 5]
