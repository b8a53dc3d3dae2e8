"""The form: what it shows for each choice, what it refuses before anything is loaded, and what it starts."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from core import network, numbers
from core.config import (
    EVERY_LAYER,
    TASK_TRAINING,
    TASK_WEIGHTS,
    WEIGHT_PRESETS,
    Settings,
    extra,
    starting_point,
)
from core.models.saved import save_model
from core.runs import folder as runs
from core.sections import DataSettings, StudentSettings, TeacherSettings
from core.settings_file import parse_settings
from pages.ui import form
from pages.ui.recipe import describe
from tests.fixtures.drawn_pages import (
    DISTIL,
    RUNS,
    button,
    choose,
    choose_objective,
    draw,
    lid,
    made_runs,
    metric,
    open_page,
    plain,
    press,
    widget,
    widgets,
    words,
)
from tests.fixtures.made_runs import make_run
from tests.fixtures.tiny_models import tiny_teacher, tiny_tokenizer, tiny_word_teacher

THIN = numbers.THIN

pytestmark = pytest.mark.usefixtures("home", "nothing_trains")


def test_every_setting_has_its_widget_with_its_bounds_and_default():
    """Some settings only mean something for some choices, so every choice is made once."""
    seen = set()
    for objective, source, teacher in (
        ("labels", "csv", "folder"),
        ("labels", "glue_folder", "hub"),
        ("masked_words", "text", "minilm"),
    ):
        at = choose_objective(open_page(DISTIL), objective)
        choose(at, "data", "source", source)
        choose(at, "teacher", "source", teacher)
        if objective == "masked_words":
            choose(at, "loss", "soft_positions", "sample")
        for section, model in form.SECTIONS.items():
            for name, field in model.model_fields.items():
                for shown in widgets(at, section, name):
                    seen.add((section, name))
                    assert shown.help == field.description or name in ("layers", "teacher_layers")
                    assert shown.label.startswith(field.title)
                    if shown.type == "number_input":
                        # Its bounds would stop the number in the browser; test_typed_numbers.py tries them.
                        assert shown.proto.has_min == shown.proto.has_max == False, f"{section}.{name}"  # noqa: E712
                    if shown.type == "selectbox":
                        left_out = {"text"} if (name, section, objective) == ("source", "data", "labels") else set()
                        options = extra(model, name)["options"]
                        assert shown.options == [options[each] for each in options if each not in left_out]
    assert seen == {(section, name) for section, model in form.SECTIONS.items() for name in model.model_fields}


def test_the_form_begins_with_the_defaults_and_can_be_started():
    at = open_page(DISTIL)
    for section, model in form.SECTIONS.items():
        for name, field in model.model_fields.items():
            for shown in widgets(at, section, name):
                assert name == "teacher_layers" or shown.value == field.default, f"{section}.{name}"
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
    assert f"of 64 texts each; teacher: {teacher.epochs * math.ceil(800 / teacher.batch_size)}" in words(at)
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
    assert {name: widget(at, "loss", name).value for name in WEIGHT_PRESETS[preset]} == WEIGHT_PRESETS[preset]
    assert at.button_group(key="form-preset").value == preset
    assert widget(at, "loss", "temperature").disabled == (WEIGHT_PRESETS[preset]["soft"] == 0)
    press(at, "Start")
    loss = runs.read_settings(made_runs()[0]).loss
    assert loss.weights() == WEIGHT_PRESETS[preset]


def test_the_recipe_that_matches_every_layer_brings_its_training_along_when_asked():
    at = open_page(DISTIL)
    at.button_group(key="form-preset").set_value(EVERY_LAYER)
    draw(at)
    assert widget(at, "training", "copies").value == 0, "weights only: what was chosen elsewhere stays"
    press(at, "Train for it: 2 copies, 4 epochs, 3e-4")
    assert not [each for each in at.button if each.label.startswith("Train for it")]
    press(at, "Start")
    settings = runs.read_settings(made_runs()[0])
    assert settings.loss.weights() == TASK_WEIGHTS
    assert settings.training.model_dump(include=set(TASK_TRAINING)) == TASK_TRAINING
    at = choose_objective(open_page(DISTIL), "masked_words")
    at.button_group(key="form-preset").set_value(EVERY_LAYER)
    draw(at)
    assert not [each for each in at.button if each.label.startswith("Train for it")], "words have no labels"


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
    assert "All loss weights are 0, so the student would learn nothing; raise at least one." in plain(at)
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
    assert lid(at, "Sentences to watch"), "a closed lid would hide what is wrong"


def test_the_form_is_kept_while_other_pages_are_visited():
    at = choose(open_page(DISTIL), "loss", "soft", 3.0)
    choose(at, "student", "layers", 2)
    draw(at.switch_page(RUNS))
    draw(at.switch_page(DISTIL))
    assert widget(at, "loss", "soft").value == 3.0
    assert widget(at, "student", "teacher_layers").value == [0, 5]


# --- what is learned --------------------------------------------------------------------------------------------


def test_what_is_learned_fills_the_form_with_what_works_for_it():
    at = choose(open_page(DISTIL), "loss", "soft", 3.0)
    at.text_input(key=form.NAME).set_value("Mine")
    assert "To sort texts as the teacher does" in words(draw(at))
    choose_objective(at, "masked_words")
    assert "To fill in hidden words" in words(at)
    press(at, "Start")
    (folder,) = made_runs()
    expected = starting_point("masked_words").model_copy(update={"name": "Mine"})
    assert runs.read_settings(folder) == with_layers(expected, (0, 2, 5))
    press(at, "Set up another run")
    choose_objective(at, "labels")
    press(at, "Start")
    (again,) = (each for each in made_runs() if each != folder)
    assert runs.read_settings(again) == with_layers(Settings(name="Mine"), (0, 2, 5))


def test_masked_words_are_planned_in_blocks_and_with_the_teacher_at_every_step():
    at = choose_objective(open_page(DISTIL), "masked_words")
    steps = int(metric(at, "Steps").replace(THIN, ""))
    choose(at, "data", "max_tokens", 256)
    assert int(metric(at, "Steps").replace(THIN, "")) < 0.7 * steps, "longer blocks are fewer"
    choose(at, "data", "source", "rotten_tomatoes")
    assert f"teacher: {metric(at, 'Steps')}" in words(at)


def test_a_sentence_without_a_hidden_word_is_refused_where_it_is_typed():
    at = choose_objective(open_page(DISTIL), "masked_words")
    at.text_area(key=form.PROBES).set_value("The film was good.")
    draw(at)
    assert len(at.error) == 1 and "sentence 1 has no [MASK]" in plain(at)
    assert lid(at, "Sentences to watch") and button(at, "Start").disabled


def test_a_random_share_is_asked_for_only_where_it_is_used():
    at = choose_objective(open_page(DISTIL), "masked_words")
    assert not widgets(at, "loss", "soft_share")
    choose(at, "loss", "soft_positions", "sample")
    choose(at, "loss", "soft_share", 0.2)
    press(at, "Start")
    loss = runs.read_settings(made_runs()[0]).loss
    assert (loss.soft_positions, loss.soft_share) == ("sample", 0.2)


def with_layers(settings: Settings, layers: tuple[int, ...]) -> Settings:
    """What the form makes of settings: it names the layers that it shows."""
    return settings.model_copy(update={"student": settings.student.model_copy(update={"teacher_layers": layers})})


# --- data of the user's -----------------------------------------------------------------------------------------


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """A CSV file with columns of its own."""
    path = tmp_path / "mails.csv"
    rows = [f"{word} number {number},{word}" for number in range(150) for word in ("spam", "ham")]
    path.write_text("\n".join(["subject,kind", *rows]))
    return path


@pytest.fixture
def glue(tmp_path: Path) -> Path:
    """A GLUE folder with one small task in it."""
    folder = tmp_path / "glue" / "SST-2"
    folder.mkdir(parents=True)
    for name, count in (("train.tsv", 300), ("dev.tsv", 40)):
        rows = [f"a film of kind {number} in {name}\t{number % 2}" for number in range(count)]
        (folder / name).write_text("\n".join(["sentence\tlabel", *rows]) + "\n")
    return folder.parent


def test_a_table_is_looked_at_before_the_start(table):
    at = choose(open_page(DISTIL), "data", "source", "csv")
    assert "“File or folder” is empty; name the file or folder that holds the data." in plain(at)
    assert lid(at, "Data and teacher") and button(at, "Start").disabled
    choose(at, "data", "path", str(table.with_name("gone.csv")))
    assert len(at.error) == 1 and "There is no file" in plain(at) and "gone.csv" in plain(at)
    choose(at, "data", "path", str(table))
    assert "mails.csv has no column 'text'; it has 'subject', 'kind'. Change “Text column”." in plain(at)
    choose(at, "data", "text_column", "subject")
    assert "mails.csv has no column 'label'" in plain(at) and button(at, "Start").disabled
    assert sum("no column 'label'" in each.value.replace("\\", "") for each in at.caption) == 1, "beside Start too"
    choose(at, "data", "label_column", "kind")
    assert not at.error and "300 examples" in words(at)
    press(at, "Start")
    data = runs.read_settings(made_runs()[0]).data
    assert data == DataSettings(source="csv", path=str(table), text_column="subject", label_column="kind")


def test_labels_that_look_alike_and_texts_that_contradict_are_announced_before_the_start(tmp_path: Path):
    rows = [f"text {number},{('Good', 'good')[number % 2]}" for number in range(60)]
    (tmp_path / "mine.csv").write_text("\n".join(("text,label", *rows, "TEXT 3,Good")), encoding="utf-8")
    at = choose(open_page(DISTIL), "data", "source", "csv")
    choose(at, "data", "path", str(tmp_path / "mine.csv"))
    alike, against = (each.value.replace("\\", "") for each in at.warning)
    assert alike.startswith(
        "The labels 'Good' (31 rows, first in line 2) and 'good' (30 rows, first in line 3) look alike"
    )
    assert against.startswith("Repeated texts were left out: 1. 1 of them carries another label")
    assert not button(at, "Start").disabled and not at.error


def test_only_the_fields_of_the_chosen_data_are_shown():
    at = open_page(DISTIL)
    expected = {
        "rotten_tomatoes": set(),
        "glue_folder": {"path", "task", "split"},
        "glue_hub": {"task", "split"},
        "csv": {"path", "text_column", "pair_column", "label_column", "label_kind"},
    }
    names = set.union(*expected.values())
    for source, shown in expected.items():
        choose(at, "data", "source", source)
        assert {name for name in names if widgets(at, "data", name)} == shown
    choose_objective(at, "masked_words")
    for source, shown in (("csv", {"path", "text_column", "pair_column"}), ("text", {"path"})):
        choose(at, "data", "source", source)
        assert {name for name in names if widgets(at, "data", name)} == shown


def test_what_was_left_in_a_field_that_is_not_shown_is_not_used(glue):
    """Else a split that only GLUE has would be refused where nobody can see it, or a teacher be trained again."""
    at = choose(open_page(DISTIL), "data", "source", "glue_folder")
    choose(at, "data", "path", str(glue))
    choose(at, "data", "split", "merged")
    assert "340 examples" in words(at) and not at.error
    choose(at, "data", "source", "rotten_tomatoes")
    assert not at.error
    press(at, "Start")
    assert runs.read_settings(made_runs()[0]).data == DataSettings()
    choose(press(at, "Set up another run"), "data", "source", "glue_folder")
    assert (widget(at, "data", "path").value, widget(at, "data", "split").value) == (str(glue), "merged")


def test_plain_text_is_for_masked_words(tmp_path):
    (tmp_path / "texts").mkdir()
    at = choose_objective(open_page(DISTIL), "masked_words")
    choose(at, "data", "source", "text")
    choose(at, "data", "path", str(tmp_path / "texts"))
    assert "holds no .txt file" in plain(at) and button(at, "Start").disabled
    (tmp_path / "texts" / "a.txt").write_text(
        "".join(f"Film {number}: warm, funny, many words.\n\n" for number in range(60))
    )
    assert not draw(at).error and "About" in words(at)
    press(at, "Start")
    assert runs.read_settings(made_runs()[0]).data.source == "text"


# --- teachers of the user's -------------------------------------------------------------------------------------


@pytest.fixture
def bert(tmp_path: Path) -> Path:
    """A folder with a tiny BERT of 8 layers, width 32, 2 heads and 64 positions, for two labels."""
    save_model(tiny_teacher(layers=8), tiny_tokenizer(), tmp_path / "bert")
    return tmp_path / "bert"


def with_teacher(at, path: Path):
    choose(at, "teacher", "source", "folder")
    choose(at, "data", "max_tokens", 64)
    return choose(at, "teacher", "path", str(path))


def test_the_layers_follow_the_teacher(bert):
    at = with_teacher(open_page(DISTIL), bert)
    assert not at.error and "8 layers of width 32" in words(at)
    slider = widget(at, "student", "layers")
    assert (slider.max, slider.value) == (8, 4), "half of them, as the paper took"
    assert widget(at, "student", "teacher_layers").value == [0, 2, 5, 7]
    press(at, "Start")
    settings = runs.read_settings(made_runs()[0])
    assert settings.teacher.path == str(bert) and settings.student.teacher_layers == (0, 2, 5, 7)
    choose(press(at, "Set up another run"), "teacher", "source", "minilm")
    assert widget(at, "student", "layers").max == 6 and widget(at, "student", "teacher_layers").value == [0, 2, 5]


def test_a_path_typed_just_before_start_counts_with_its_own_layers(bert, tmp_path):
    save_model(tiny_teacher(layers=2), tiny_tokenizer(), tmp_path / "flat")
    at = with_teacher(open_page(DISTIL), bert)
    widget(at, "teacher", "path").set_value(str(tmp_path / "flat"))
    press(at, "Start")
    student = runs.read_settings(made_runs()[0]).student
    assert (student.layers, student.teacher_layers) == (1, (0,))


def test_a_teacher_of_one_layer_has_a_student_of_one(tmp_path):
    save_model(tiny_teacher(layers=1), tiny_tokenizer(), tmp_path / "flat")
    at = with_teacher(open_page(DISTIL), tmp_path / "flat")
    assert not at.error and "one layer" in words(at) and not widgets(at, "student", "layers")
    press(at, "Start")
    assert runs.read_settings(made_runs()[0]).student.layers == 1


def test_a_teacher_that_cannot_be_used_is_refused_where_it_is_named(bert):
    at = choose(open_page(DISTIL), "teacher", "source", "folder")
    assert "“Model folder” is empty" in plain(at) and lid(at, "Data and teacher")
    at = with_teacher(at, bert.with_name("gone"))
    assert len(at.error) == 1 and "gone" in plain(at) and button(at, "Start").disabled
    assert widget(at, "student", "layers").disabled, "nobody knows how many there are"
    (bert / "manifest.json").unlink()
    (bert / "config.json").write_text(json.dumps({"model_type": "gpt2"}))
    with_teacher(at, bert)
    assert len(at.error) == 1 and "gpt2" in plain(at) and button(at, "Start").disabled


def test_what_a_teacher_can_do_is_said_before_anything_is_loaded(tmp_path):
    """An ELECTRA discriminator has no head for words: they are not offered, and refused where they were chosen."""
    from transformers import ElectraForPreTraining

    from tests.core.models.families.test_electra import tiny
    from tests.fixtures.family_path import written

    folder = written(tiny(ElectraForPreTraining), tiny_tokenizer(), tmp_path / "discriminator")
    at = open_page(DISTIL)
    assert "The class of its student is DistilBertForSequenceClassification, which can learn by: Soft" in plain(at)
    assert at.segmented_control(key=form.OBJECTIVE).options == ["Labels", "Masked words"]
    with_teacher(at, folder)
    assert not at.error and "The class of its student is ElectraForSequenceClassification" in plain(at)
    assert at.segmented_control(key=form.OBJECTIVE).options == ["Labels"]
    assert "“Masked words” is not offered with this teacher: an ELECTRA without" in plain(at)
    at = with_teacher(choose_objective(open_page(DISTIL), "masked_words"), folder)
    assert len(at.error) == 1 and "guesses none" in at.error[0].value and button(at, "Start").disabled
    assert at.segmented_control(key=form.OBJECTIVE).options == ["Labels", "Masked words"]


def test_texts_longer_than_the_teacher_reads_are_refused_at_the_data(bert):
    at = with_teacher(open_page(DISTIL), bert)
    choose(at, "data", "max_tokens", 128)
    assert "“Longest input” is 128, but the teacher reads at most 64 word pieces" in plain(at)
    assert len(at.error) == 1 and button(at, "Start").disabled


@pytest.mark.parametrize(("objective", "says"), [("labels", "sort texts"), ("masked_words", "guess words")])
def test_a_teacher_is_used_as_it_is_only_where_it_has_learned_the_task(objective, says, tmp_path):
    at = choose_objective(open_page(DISTIL), objective)
    choose(at, "teacher", "epochs", 0)
    assert f"“Teacher epochs” is 0, but this teacher has never learned to {says}" in plain(at)
    assert button(at, "Start").disabled
    teacher = tiny_teacher() if objective == "labels" else tiny_word_teacher()
    save_model(teacher, tiny_tokenizer(), tmp_path / "ready")
    with_teacher(at, tmp_path / "ready")
    assert not at.error and "used as it is" in words(at)


@pytest.mark.parametrize(("section", "source"), [("teacher", "hub"), ("data", "glue_hub")])
def test_the_hub_says_how_to_switch_the_network_on(section, source, monkeypatch):
    monkeypatch.delenv(network.SWITCH, raising=False)
    at = choose(open_page(DISTIL), section, "source", source)
    assert len(at.error) == 1 and "network" in at.error[0].value and "DISTILLERY\\_NETWORK\\=1" in at.error[0].value
    assert button(at, "Start").disabled and lid(at, "Data and teacher")
    if section == "teacher":
        assert widget(at, "student", "layers").max == 12, "the preset's shape is known without the network"


def test_with_the_network_on_the_preset_is_planned_before_it_is_fetched(monkeypatch):
    monkeypatch.setenv(network.SWITCH, "1")
    at = choose(open_page(DISTIL), "teacher", "source", "hub")
    choose(at, "data", "source", "glue_hub")
    assert not at.error and metric(at, "Student against teacher") == f"67{THIN}M of 109{THIN}M"
    assert widget(at, "student", "teacher_layers").value == [0, 2, 4, 7, 9, 11], "as the released DistilBERT"
    press(at, "Start")
    settings = runs.read_settings(made_runs()[0])
    assert (settings.teacher, settings.data) == (TeacherSettings(source="hub"), DataSettings(source="glue_hub"))
    assert settings.student == StudentSettings(layers=6, teacher_layers=(0, 2, 4, 7, 9, 11))


def test_a_hub_id_that_is_none_is_refused_in_words():
    at = choose(open_page(DISTIL), "teacher", "source", "hub")
    choose(at, "teacher", "hub_id", "no such/id at all")
    assert "expected a name like google-bert/bert-base-uncased" in plain(at) and button(at, "Start").disabled


# --- a narrower student -----------------------------------------------------------------------------------------


def test_a_width_takes_random_weights_and_gives_them_back():
    at = choose(open_page(DISTIL), "student", "width", 192)
    assert widget(at, "student", "initial_weights").value == "random"
    assert not at.error and metric(at, "Student against teacher").startswith("7.33")
    assert "starts from random weights, because" in words(at)
    choose(at, "student", "initial_weights", "copied")
    assert "“Hidden width” is 192, but weights can only be copied" in plain(at) and button(at, "Start").disabled
    choose(at, "student", "initial_weights", "random")
    choose(at, "student", "width", None)
    assert widget(at, "student", "initial_weights").value == "random", "chosen by hand"
    choose(at, "student", "initial_weights", "copied")
    choose(at, "student", "heads", 6)
    choose(at, "student", "heads", None)
    assert widget(at, "student", "initial_weights").value == "copied", "as before the heads were chosen"


def test_a_width_that_the_teachers_heads_cannot_share_is_refused_at_the_student():
    at = choose(open_page(DISTIL), "student", "width", 100)
    assert len(at.error) == 1 and "12 attention heads" in plain(at) and button(at, "Start").disabled
    choose(at, "student", "heads", 10)
    press(at, "Start")
    student = runs.read_settings(made_runs()[0]).student
    assert (student.width, student.heads, student.initial_weights) == (100, 10, "random")


# --- an earlier run ---------------------------------------------------------------------------------------------


def test_settings_of_a_run_of_any_kind_come_back_into_the_form(home, bert, table):
    settings = parse_settings(
        {
            "objective": "masked_words",
            "data": {"source": "csv", "path": str(table), "text_column": "subject", "max_tokens": 32},
            "teacher": {"source": "folder", "path": str(bert), "epochs": 2},
            "student": {"layers": 2, "width": 16, "heads": 4, "initial_weights": "random"},
            "loss": {"soft_positions": "sample", "soft_share": 0.1},
            "masking": {"share": 0.2, "rarity": 0.5, "whole_words": True},
            "training": {"accumulation": 4, "precision": "fp16", "compile": True},
            "probes": ["A [MASK] film."],
        }
    )
    folder = make_run(home, state="failed", settings=settings)
    at = press(open_page(DISTIL, run=folder.name), "Use these settings again")
    assert not at.error
    press(at, "Start")
    assert runs.read_settings(next(each for each in made_runs() if each != folder)) == settings


def test_layers_left_open_in_a_file_are_spread_over_the_teacher(home, bert):
    teacher = {"source": "folder", "path": str(bert)}
    raw = {"teacher": teacher, "student": {"layers": 3}, "data": {"max_tokens": 64}}
    folder = make_run(home, state="failed", settings=parse_settings(raw))
    at = press(open_page(DISTIL, run=folder.name), "Use these settings again")
    assert widget(at, "student", "layers").value == 3 and widget(at, "student", "teacher_layers").value == [0, 4, 7]


def test_changed_copies_are_shown_before_they_are_learned(home):
    at = open_page(DISTIL)
    assert not at.toggle
    choose(at, "training", "copies", 2)
    at.toggle(key="form-show-copies").set_value(True).run()
    shown = at.table[0].value.reset_index()
    assert list(shown.columns) == ["A text", "Its first copy"] and len(shown) == 3
    assert all(shown["A text"] != shown["Its first copy"])
    press(at, "Start")
    assert "with 2 changed copies" in describe(runs.read_settings(made_runs()[0]))


def test_masked_words_have_no_copies_and_what_was_left_in_the_field_is_not_used(home):
    at = choose_objective(choose(open_page(DISTIL), "training", "copies", 2), "masked_words")
    assert not at.error and not [each for each in at.number_input if each.key == "form.training.copies"]
    press(at, "Start")
    assert runs.read_settings(made_runs()[0]).training.copies == 0


def test_a_run_whose_teacher_has_gone_comes_back_with_its_layers(home, tmp_path):
    teacher = {"source": "folder", "path": str(tmp_path / "gone")}
    settings = parse_settings({"teacher": teacher, "student": {"layers": 12}})
    folder = make_run(home, state="failed", settings=settings)
    at = press(open_page(DISTIL, run=folder.name), "Use these settings again")
    assert len(at.error) == 1 and widget(at, "student", "layers").value == 12 and button(at, "Start").disabled


DESCRIPTIONS = {
    "Labels of movie sentences, teacher MiniLM; 3 layers from layers 0, 2, 5; 5/2/1, T 2; 2 epochs": {},
    "Labels of STS-B, teacher google-bert/bert-base-uncased; 6 layers, evenly spread; 5/2/1, T 2; 2 epochs": {
        "data": {"source": "glue_hub", "task": "STS-B"},
        "teacher": {"source": "hub"},
        "student": {"layers": 6},
    },
    "Labels of mails.csv, teacher bert; 1 layer of width 96 with random weights; no teacher (control); 1 epoch": {
        "data": {"source": "csv", "path": "/tmp/mails.csv"},
        "teacher": {"source": "folder", "path": "/models/bert/"},
        "student": {"layers": 1, "width": 96, "initial_weights": "random"},
        "loss": {"soft": 0, "cosine": 0},
        "training": {"epochs": 1},
    },
    "Masked words of texts, teacher MiniLM; 3 layers from layers 0, 2, 5; 5/2/1, T 2; 2 epochs": {
        "objective": "masked_words",
        "probes": [],
        "data": {"source": "text", "path": "/tmp/texts"},
    },
}


@pytest.mark.parametrize("sentence", DESCRIPTIONS)
def test_every_recipe_has_one_line(sentence):
    assert describe(parse_settings(DESCRIPTIONS[sentence])) == sentence
