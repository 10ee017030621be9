import io
import re
from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd
import pytest
import synthetic
from matplotlib import font_manager
from matplotlib.text import Text
from PIL import Image

from jaxcompare import analysis, plots, words
from jaxcompare.plots import activations, charts, panels, style, units

RATES = ("0.1", "0.01", "0.001")
NAMES = {
    "a": {
        f"{kind}_{dataset}.png"
        for dataset in ("fashion_mnist", "digits")
        for kind in ("experiment_a_results", "gradient_norms_a")
    },
    "b": {
        f"{kind}_{dataset}.png"
        for dataset in ("moons", "circles")
        for kind in (
            *("experiment_b_results", "activation_distributions", "dead_relu_heatmap"),
            *("gradient_norms_b", "dead_units", "decision_gallery"),
        )
    }
    | {
        f"decision_boundary_{dataset}_{name}.png"
        for dataset in ("moons", "circles")
        for name in ("relu", "leaky_relu", "sigmoid")
    }
    | {f"decision_animation_{dataset}.gif" for dataset in ("moons", "circles")},
    "c": {f"experiment_c_results_{name}_lr_{rate}.png" for name in ("sgd", "momentum", "adamw") for rate in RATES}
    | {f"lr_comparison_{name}.png" for name in ("sgd", "momentum", "adamw")}
    | {"rate_by_schedule_fashion_mnist.png", "gradient_norms_c_fashion_mnist.png"},
    "mine": {"experiment_mine_results_digits.png", "gradient_norms_mine_digits.png"},
}
# One of each kind; those of C hold a variant that diverged half-way and one that diverged at once.
DRAWN = (
    ("a", "experiment_a_results_digits.png"),
    ("b", "experiment_b_results_moons.png"),
    ("b", "activation_distributions_moons.png"),
    ("b", "dead_relu_heatmap_moons.png"),
    ("b", "decision_boundary_circles_relu.png"),
    ("b", "decision_gallery_moons.png"),
    ("b", "dead_units_moons.png"),
    ("c", "experiment_c_results_momentum_lr_0.1.png"),
    ("c", "experiment_c_results_adamw_lr_0.1.png"),
    ("c", "lr_comparison_adamw.png"),
    ("mine", "experiment_mine_results_digits.png"),
)


@pytest.fixture(scope="module")
def tables():
    found = synthetic.tables("a", "b", "c", "mine")
    return found | {"summary": analysis.summarise(found["replicas"], found["history"], synthetic.TARGETS)}


@pytest.fixture(scope="module")
def fields(tables):
    return synthetic.fields(tables["replicas"])


@pytest.mark.parametrize("experiment", NAMES)
def test_names_are_those_of_the_design(experiment, tables, fields):
    assert set(synthetic.pictures(experiment, tables, fields)) == NAMES[experiment]


def test_a_user_s_activations_on_moons_have_the_pictures_of_the_inside():
    mine = synthetic.tables("my_moons")
    inside = ("activation_distributions", "dead_heatmap", "dead_units", "decision_gallery")
    expected = {f"{kind}_my_moons_moons.png" for kind in (*inside, "gradient_norms")}
    expected |= {f"decision_boundary_my_moons_moons_{name}.png" for name in ("relu", "leaky_relu", "sigmoid")}
    expected |= {"experiment_my_moons_results_moons.png", "decision_animation_my_moons_moons.gif"}
    assert set(plots.pictures("my_moons", mine, synthetic.fields(mine["replicas"], 16))) == expected
    without = {f"{kind}_my_moons_moons.png" for kind in (*inside[:3], "gradient_norms")}
    assert set(plots.pictures("my_moons", mine)) == without | {"experiment_my_moons_results_moons.png"}


def test_a_user_s_optimizers_on_moons_have_pictures_of_rates_cells_and_boundaries():
    """Each cell of optimizer and schedule has a boundary and a map of dead units."""
    cells = synthetic.grid(optimizer=["sgd", "adamw"], schedule=["constant", "cosine"], learning_rate=[0.01, 0.001])
    plan = synthetic.MY_MOONS._replace(cells=cells, base=synthetic.MY_MOONS.base | {"activation": "relu"})
    mine = synthetic.tables_of([plan])
    drawn = plots.pictures("my_moons", mine, synthetic.fields(mine["replicas"], 16))
    boundaries = {name for name in drawn if name.startswith("decision_boundary")}
    assert boundaries == {
        f"decision_boundary_my_moons_moons_{optimizer}-{schedule}.png"
        for optimizer in ("sgd", "adamw")
        for schedule in ("constant", "cosine")
    }
    rates = {
        f"experiment_my_moons_results_moons_{name}_lr_{rate}.png" for name in ("sgd", "adamw") for rate in RATES[1:]
    }
    assert rates < set(drawn)
    assert {"experiment_my_moons_results_moons.png", "rate_map_my_moons_moons.png"} < set(drawn)
    figure = drawn["dead_heatmap_my_moons_moons.png"].draw()
    titles = [ax.get_title(loc="left") for ax in figure.axes if ax.get_label() != "<colorbar>"]
    assert len(titles) == 2 * 4
    assert any("SGD, cosine" in title for title in titles)


def test_comparisons_on_one_data_set_never_share_a_file():
    every = {**synthetic.tables("b", "my_moons")}
    fields = synthetic.fields(every["replicas"], 16)
    named = [set(plots.pictures(name, every, fields)) for name in ("b", "my_moons")]
    assert not named[0] & named[1]


def test_a_name_that_a_pattern_gives_twice_follows_the_rule(tables):
    found = plots.by_file(plots.pictures("a", tables).values(), {"results": "curves.png", "gradient_norms": ""})
    assert list(found) == ["curves.png", "experiment_a_results_digits.png"]


def test_pictures_need_their_tables(tables):
    fewer = {name: tables[name] for name in ("replicas", "history", "summary")}
    assert set(synthetic.pictures("b", fewer)) == {"experiment_b_results_moons.png", "experiment_b_results_circles.png"}
    assert synthetic.pictures("none", tables) == {}


@pytest.mark.parametrize(("experiment", "name"), DRAWN)
def test_picture_is_labelled_full_and_saves(experiment, name, tables, fields):
    figure = synthetic.pictures(experiment, tables, fields)[name]()
    axes = [ax for ax in figure.axes if ax.get_label() != "<colorbar>"]
    for ax in axes:
        assert ax.get_xlabel()
        assert ax.get_ylabel()
        assert ax.has_data()
    assert figure.get_suptitle().strip()
    texts = [text.get_text() for legend in (*figure.legends, *(ax.get_legend() for ax in axes)) if legend
             for text in legend.get_texts()]  # fmt: skip
    assert any("n = " in text or "of 10 seeds" in text for text in texts)
    picture = Image.open(io.BytesIO(plots.png(figure)))
    assert picture.info["dpi"] == pytest.approx((200, 200), abs=0.1)
    assert min(picture.size) > 1000
    assert len(picture.getcolors(maxcolors=1_000_000)) > 10


def test_every_other_picture_draws(tables, fields):
    done = {name for _, name in DRAWN}
    for experiment in NAMES:
        for name, draw in synthetic.pictures(experiment, tables, fields).items():
            if name not in done and not name.endswith(".gif"):  # which have tests of their own
                assert draw().axes, name


KINDS = {  # one picture of each kind, by the beginning of its name
    name.partition("_lr_")[0].rpartition("_")[0]: (experiment, name)
    for experiment in ("a", "b", "c")
    for name in sorted(NAMES[experiment])
    if not name.endswith(".gif")
}


@pytest.mark.parametrize(("experiment", "name"), KINDS.values())
def test_no_letter_is_missing_in_korean(experiment, name, tables, fields, caplog):
    """Matplotlib only warns, or logs, and draws an empty box: warnings are errors here, and nothing may be logged."""
    with words.speaking(words.KOREAN), caplog.at_level("WARNING"):
        figure = synthetic.pictures(experiment, tables, fields)[name]()
        assert plots.png(figure)
    assert caplog.records == []
    texts = [text.get_text() for text in figure.findobj(Text)]
    assert any(re.search("[가-힣]", text) for text in texts)
    for text in texts:
        assert "$" not in text or not re.search("[가-힣]", text), f"mathtext has no Korean letters: {text}"


def test_a_letter_that_no_font_has_is_noticed():
    figure = style.sheet(1, "\U00013000", "")[0]  # a hieroglyph
    with words.speaking(words.KOREAN), pytest.warns(UserWarning, match="missing from font"):
        plots.png(figure)


def test_korean_has_fonts_of_its_own_and_nothing_is_left_changed(tables):
    before = matplotlib.rcParams["font.family"]
    with words.speaking(words.KOREAN):
        figure = synthetic.pictures("mine", tables)["experiment_mine_results_digits.png"]()
    title = next(text for text in figure.findobj(Text) if "digits" in text.get_text())
    assert Path(font_manager.findfont(title.get_fontproperties())).name == "JaxcompareGothic-Bold.ttf"
    assert matplotlib.rcParams["font.family"] == before
    english = synthetic.pictures("mine", tables)["experiment_mine_results_digits.png"]()
    assert not any(re.search("[가-힣]", text.get_text()) for text in english.findobj(Text))


@pytest.mark.parametrize(("kind", "head"), [("pdf", b"%PDF"), ("svg", b"<?xml")])
def test_vector_formats(kind, head, tables):
    def draw():
        return style.vector(synthetic.pictures("mine", tables)["gradient_norms_mine_digits.png"](), kind)

    assert draw().startswith(head)
    assert draw() == draw()


def test_failures_at_one_rate_do_not_hide_each_other():
    rates = pd.Series([0.001, 0.01, 0.1])
    places = [panels.beside(rates, rates, index, 3).to_numpy() for index in range(3)]
    assert np.all(np.diff(places, axis=0) > 0)
    assert places[1] == pytest.approx(rates)
    assert places[2][0] < places[0][1]  # each level stays with its rate


def test_epoch_axes_end_where_training_does(tables):
    figure = synthetic.pictures("b", tables)["experiment_b_results_moons.png"]()
    last = tables["history"]["epoch"].max()
    assert last <= figure.axes[0].get_xlim()[1] < 1.03 * last


def test_units_that_died_first_stand_first():
    rows = pd.DataFrame(
        [("a", 0, "010"), ("a", 5, "110"), ("a", 9, "100"), ("b", 0, "001"), ("b", 5, "001")],
        columns=["replica_id", "epoch", "dead"],
    )
    table, epochs = units.states(rows, ["a", "b"])
    assert epochs == [0, 5, 9]
    assert table.tolist() == [[1, 1, 2], [1, 1, 0], [0, 1, 1], [0, 0, 2], [0, 0, 2], [0, 0, 0]]


def test_a_rate_with_a_diverged_run_has_no_colour(tables):
    figure = synthetic.pictures("c", tables)["rate_by_schedule_fashion_mnist.png"]()
    momentum = figure.axes[1]
    values, rates = momentum.images[0].get_array(), [text.get_text() for text in momentum.get_xticklabels()]
    assert np.ma.getmaskarray(values)[0, rates.index("0.1")]
    assert "1 of 5\ndiverged" in [text.get_text() for text in momentum.texts]
    assert len([patch for patch in momentum.patches if not patch.get_fill()]) == 1  # the best one


def test_the_same_figure_gives_the_same_bytes(tables, fields):
    draw = synthetic.pictures("b", tables, fields)["decision_boundary_moons_relu.png"]
    assert plots.png(draw()) == plots.png(draw())


def test_a_diverged_run_ends_its_line_and_is_counted(tables):
    figure = synthetic.pictures("c", tables)["experiment_c_results_momentum_lr_0.1.png"]()
    texts = [text.get_text() for text in figure.legends[0].get_texts()]
    assert texts == ["constant (n = 5; 1 of 5 diverged)", "cosine (n = 5)"]
    constant, cross, cosine = figure.axes[1].lines
    assert np.isfinite(constant.get_ydata()).sum() == 4  # epochs 0 to 3
    assert np.isfinite(cosine.get_ydata()).sum() == 9
    assert cross.get_xdata() == 3


def test_failed_variants_stay_in_the_sensitivity_panel(tables):
    figure = synthetic.pictures("a", tables)["experiment_a_results_digits.png"]()
    texts = [text.get_text() for text in figure.axes[-1].texts]
    assert texts == ["1/5"]


def test_losses_of_different_scale_have_panels_of_their_own(tables):
    figure = synthetic.pictures("a", tables)["experiment_a_results_digits.png"]()
    first, second = figure.axes[:2]
    assert len(first.lines) == len(second.lines) == 2
    assert {line.get_color() for line in first.lines} != {line.get_color() for line in second.lines}


def test_levels_have_one_colour_and_no_two_of_a_comparison_the_same():
    for group in (("cross_entropy", "mse"), ("relu", "leaky_relu", "sigmoid"), ("sgd", "momentum", "adamw")):
        assert len(set(style.colours_of(group).values())) == len(group)
    assert style.colours_of(["my.module:mine"]) == style.colours_of(["my.module:mine"])
    assert set(style.COLOURS) >= {*style.names.ACTIVATIONS, *style.names.OPTIMIZERS, *style.names.LOSSES}


def test_pooled_histogram_keeps_every_count():
    rows = pd.DataFrame(
        {"low": [0.0, 0.0], "high": [1.0, 1.0], "below": [0, 5], "above": [0, 5], "counts": [[10, 20], [30, 30]]}
    )
    edges, shares, outside = activations.pool(rows)
    assert edges.tolist() == [0.0, 0.5, 1.0]
    assert shares.tolist() == [0.4, 0.5]
    assert outside == 0.1
    wider = activations.pool(rows.assign(low=[0.0, -1.0]))
    assert wider[0].tolist() == [-1.0, 0.0, 1.0]
    assert wider[1].sum() + wider[2] == pytest.approx(1.0)


def test_a_boundary_without_one_seed_has_no_mean(tables, fields):
    broken = dict(fields)
    ids = tables["replicas"]["replica_id"]
    row = ids[ids.str.startswith("b-moons-relu-0.1-")].iloc[0]
    broken[row] = np.full_like(broken[row], np.nan)
    figure = synthetic.pictures("b", tables, broken)["decision_boundary_moons_relu.png"]()
    assert not figure.axes[0].images
    assert "9 of 10" in figure.legends[0].get_texts()[0].get_text()


def test_log_axis_holds_every_line(tables):
    figure = synthetic.pictures("b", tables)["experiment_b_results_moons.png"]()
    for ax in figure.axes:
        if ax.get_yscale() == "log":
            values = np.concatenate([np.asarray(line.get_ydata(), float) for line in ax.lines])
            low, high = ax.get_ylim()
            assert low <= np.nanmin(values) <= np.nanmax(values) <= high


def test_dash_tells_the_schedules_apart(tables):
    comparison = analysis.main_comparisons(tables["replicas"], "c")["fashion_mnist"]
    rows = analysis.rows_of(tables["summary"], comparison)
    lines = panels.lines_of(rows, comparison)
    dashes = {line.dash for line, schedule in zip(lines, rows["schedule"], strict=True) if schedule == "cosine"}
    assert dashes == {"--"}


def test_gradient_norms_are_written_where_they_have_room(tables):
    layers = tables["layers"][tables["layers"]["epoch"].isin([0, 8])]
    few = synthetic.pictures("a", tables | {"layers": layers})["gradient_norms_a_digits.png"]()
    image = few.axes[0].images[0].get_array()
    texts = {text.get_position(): text.get_text() for text in few.axes[0].texts}
    assert texts == {(x, y): f"{image[y, x]:.2g}" for y in range(image.shape[0]) for x in range(image.shape[1])}
    crowded = pd.concat([layers.assign(epoch=layers["epoch"] + shift) for shift in (*range(1, 8), *range(9, 16))])
    many = synthetic.pictures("a", tables | {"layers": pd.concat([layers, crowded])})["gradient_norms_a_digits.png"]()
    assert not many.axes[0].texts


def test_sheets_of_charts_have_a_legend_a_panel_and_pale_bars_for_what_is_too_short():
    points = (charts.Point(1.0, 0.5, 0.4, 0.6), charts.Point(2.0, 0.7, 0.6, 0.8))
    panels = [charts.Panel(name, "", "x", "y", (charts.Series(f"line {name}", "red", points),)) for name in "ab"]
    figure = charts.draw(charts.Sheet("title", "note", tuple(panels), "y"))
    assert [ax.get_title(loc="left") for ax in figure.axes] == ["a", "b"]
    assert [text.get_text() for ax in figure.axes for text in ax.get_legend().get_texts()] == ["line a", "line b"]
    bars = charts.Bars("study", "", (charts.Bar("long", 5.0, "red"), charts.Bar("short", 9.0, "red", pale=True)))
    (ax,) = charts.draw(charts.Sheet("title", "note", (bars,), "speed", (("SGD", "red"),))).axes
    assert [bar.get_alpha() for bar in ax.patches] == [None, 0.35]
    assert [tick.get_text() for tick in ax.get_yticklabels()] == ["long", "short"]
