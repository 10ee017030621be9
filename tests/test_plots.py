import io

import numpy as np
import pandas as pd
import pytest
import synthetic
from PIL import Image

from jaxcompare import analysis, plots
from jaxcompare.plots import activations, panels, style

RATES = ("0.1", "0.01", "0.001")
NAMES = {
    "a": {"experiment_a_results_fashion_mnist.png", "experiment_a_results_digits.png"},
    "b": {
        f"{kind}_{dataset}.png"
        for dataset in ("moons", "circles")
        for kind in ("experiment_b_results", "activation_distributions", "dead_relu_heatmap")
    }
    | {
        f"decision_boundary_{dataset}_{name}.png"
        for dataset in ("moons", "circles")
        for name in ("relu", "leaky_relu", "sigmoid")
    },
    "c": {f"experiment_c_results_{name}_lr_{rate}.png" for name in ("sgd", "momentum", "adamw") for rate in RATES}
    | {f"lr_comparison_{name}.png" for name in ("sgd", "momentum", "adamw")},
    "mine": {"experiment_mine_results_digits.png"},
}
# One of each kind; those of C hold a variant that diverged half-way and one that diverged at once.
DRAWN = (
    ("a", "experiment_a_results_digits.png"),
    ("b", "experiment_b_results_moons.png"),
    ("b", "activation_distributions_moons.png"),
    ("b", "dead_relu_heatmap_moons.png"),
    ("b", "decision_boundary_circles_relu.png"),
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
    assert set(plots.pictures(experiment, tables, fields)) == NAMES[experiment]


def test_pictures_need_their_tables(tables):
    fewer = {name: tables[name] for name in ("replicas", "history", "summary")}
    assert set(plots.pictures("b", fewer)) == {"experiment_b_results_moons.png", "experiment_b_results_circles.png"}
    assert plots.pictures("none", tables) == {}


@pytest.mark.parametrize(("experiment", "name"), DRAWN)
def test_picture_is_labelled_full_and_saves(experiment, name, tables, fields):
    figure = plots.pictures(experiment, tables, fields)[name]()
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
        for name, draw in plots.pictures(experiment, tables, fields).items():
            if name not in done:
                assert draw().axes, name


def test_the_same_figure_gives_the_same_bytes(tables, fields):
    draw = plots.pictures("b", tables, fields)["decision_boundary_moons_relu.png"]
    assert plots.png(draw()) == plots.png(draw())


def test_a_diverged_run_ends_its_line_and_is_counted(tables):
    figure = plots.pictures("c", tables)["experiment_c_results_momentum_lr_0.1.png"]()
    texts = [text.get_text() for text in figure.legends[0].get_texts()]
    assert texts == ["constant (n = 5; 1 of 5 diverged)", "cosine (n = 5)"]
    constant, cross, cosine = figure.axes[1].lines
    assert np.isfinite(constant.get_ydata()).sum() == 4  # epochs 0 to 3
    assert np.isfinite(cosine.get_ydata()).sum() == 9
    assert cross.get_xdata() == 3


def test_failed_variants_stay_in_the_sensitivity_panel(tables):
    figure = plots.pictures("a", tables)["experiment_a_results_digits.png"]()
    texts = [text.get_text() for text in figure.axes[-1].texts]
    assert texts == ["1/5"]


def test_losses_of_different_scale_have_panels_of_their_own(tables):
    figure = plots.pictures("a", tables)["experiment_a_results_digits.png"]()
    first, second = figure.axes[:2]
    assert len(first.lines) == len(second.lines) == 2
    assert {line.get_color() for line in first.lines} != {line.get_color() for line in second.lines}


def test_levels_have_one_colour_and_no_two_of_a_comparison_the_same():
    for group in (("cross_entropy", "mse"), ("relu", "leaky_relu", "sigmoid"), ("sgd", "momentum", "adamw")):
        assert len({plots.colour_of(name) for name in group}) == len(group)
    assert plots.colour_of("my.module:mine") == plots.colour_of("my.module:mine")
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
    figure = plots.pictures("b", tables, broken)["decision_boundary_moons_relu.png"]()
    assert not figure.axes[0].images
    assert "9 of 10" in figure.legends[0].get_texts()[0].get_text()


def test_log_axis_holds_every_line(tables):
    figure = plots.pictures("b", tables)["experiment_b_results_moons.png"]()
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
