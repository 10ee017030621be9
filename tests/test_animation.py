"""Decision boundaries over the epochs: what is shown, what is left out, and how it stands in the report."""

import io
import itertools

import numpy as np
import pytest
import synthetic
from PIL import Image

from jaxcompare import analysis, plots, words
from jaxcompare.plots import animation
from jaxcompare.report import html, markdown
from jaxcompare.report.pictures import picture

NAME = "decision_animation_moons.gif"


@pytest.fixture(scope="module")
def tables():
    found = synthetic.tables("b")
    return found | {"summary": analysis.summarise(found["replicas"], found["history"], synthetic.TARGETS)}


@pytest.fixture(scope="module")
def fields(tables):
    return synthetic.fields(tables["replicas"], 16)


@pytest.fixture(scope="module")
def moons(tables):
    return analysis.main_comparisons(tables["replicas"], "b")["moons"]


def frames_of(data):
    picture = Image.open(io.BytesIO(data))
    found = []
    for place in range(picture.n_frames):
        picture.seek(place)
        found.append((picture.info["duration"], np.asarray(picture.convert("RGB"), int)))
    return picture, found


@pytest.mark.parametrize("language", words.LANGUAGES)
def test_it_goes_from_the_first_epoch_to_the_last_and_stays_there(tables, fields, moons, language, caplog):
    with words.speaking(words.LANGUAGES[language]), caplog.at_level("WARNING"):
        made = animation.decision_animation(tables, fields, moons)
    data = animation.gif(made)
    picture, frames = frames_of(data)
    assert picture.info["loop"] == 0  # for ever
    assert len(frames) == len(synthetic.EPOCHS)
    assert [milliseconds for milliseconds, _ in frames] == [animation.FRAME] * 4 + [animation.LAST]
    assert all(np.abs(now - then).mean() > 0.1 for (_, then), (_, now) in itertools.pairwise(frames))
    assert len(data) < 700_000
    assert caplog.records == []  # every letter is there
    assert (frames[0][1][0, 0] == 255).all()


def test_the_same_is_drawn_to_the_same_bytes(tables, fields, moons):
    once, again = (animation.gif(animation.decision_animation(tables, fields, moons)) for _ in range(2))
    assert once == again


def test_epochs_without_a_mean_are_left_out(tables, fields, moons):
    chosen = plots.panels.chosen(tables, moons)["variant_id"]
    broken = {name: values.copy() for name, values in fields.items()}
    for variant in chosen:
        broken[f"{variant}/mean"][1, 0, 0] = np.nan
    assert animation.epochs_shown(tables, broken, moons) == [0, 4, 6, 8]
    broken[f"{chosen[0]}/mean"][3, 0, 0] = np.nan  # of one level alone: the others still show it
    assert animation.epochs_shown(tables, broken, moons) == [0, 4, 6, 8]
    assert list(animation.means(broken, chosen[0])) == [0, 4, 8]
    made = animation.decision_animation(tables, broken, moons)
    whole = animation.decision_animation(tables, fields, moons)
    assert made.frames[2] != whole.frames[3]  # it says so there
    assert made.frames[3] == whole.frames[4]


def test_long_runs_are_thinned_with_both_ends(tables, fields, moons):
    many = dict(fields)
    for variant in plots.panels.chosen(tables, moons)["variant_id"]:
        many[f"{variant}/epochs"] = np.arange(100)
        many[f"{variant}/mean"] = np.repeat(fields[f"{variant}/mean"], 20, axis=0)
    epochs = animation.epochs_shown(tables, many, moons)
    assert len(epochs) == animation.MOST
    assert (epochs[0], epochs[-1]) == (0, 99)


def test_few_epochs_and_older_results_have_none(tables, fields):
    assert NAME in synthetic.pictures("b", tables, fields)
    older = {name: values for name, values in fields.items() if not name.endswith(("/epochs", "/mean"))}
    assert "decision_gallery_moons.png" in synthetic.pictures("b", tables, older)
    assert NAME not in synthetic.pictures("b", tables, older)
    few = {name: values[:2] if name.endswith(("/epochs", "/mean")) else values for name, values in fields.items()}
    assert NAME not in synthetic.pictures("b", tables, few)


def test_it_stands_in_the_page_and_in_the_text():
    plot = plots.Plot("decision_animation", analysis.Comparison("b", "main", "moons", "activation", ()), lambda: None)
    block = picture(words.KOREAN, NAME, plot)
    page = html.render([html.Heading(1, "x", "x"), block], {block.name: b"GIF89a"}, words.KOREAN)
    assert block.name == "decision_animation_moons.ko.gif"
    assert 'class="animation"' in page
    assert 'src="data:image/gif;base64,' in page
    assert 'loading="lazy"' in page
    assert block.alt in page
    assert "애니메이션" in block.alt
    assert ".animation { display: none; }" in page  # on paper
    assert f"({block.name})" in markdown.render([block])
