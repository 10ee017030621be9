"""Pictures of odd letters, long names and many variants: no boxes, no overlapping, nothing outside the sheet, and said so."""

import random
import warnings

import pytest
import synthetic
from matplotlib.text import Text

from jaxcompare import analysis, plots, words
from jaxcompare.plots import charts, fonts, labels, rooms, style
from jaxcompare.report.draw import draw, draw_all, names_of

LONG = "my_package.a_module_that_somebody_wrote:" + 7 * "a_function_whose_name_says_everything_"
LEVELS = {
    "optimizer": ["sgd", "adam", "adamw", "lion", f"{LONG}x", f"{LONG}y"],
    "activation": ["relu", "tanh", f"{LONG}1", f"{LONG}2"],
    "learning_rate": [0.1, 0.01],
    **{key: [0.1, 0.9] for key in ("momentum", "beta2", "epsilon", "label_smoothing", "weight_decay", "clip_norm")},
    **{key: [1, 2] for key in ("micro_batches", "batch_size", "reference_batch_size")},
    **{key: ["zeros", "normal"] for key in ("bias_init", "init", "schedule", "loss")},
}
ODD = "한글 뷁 中文 🎉❤️ \u1112\u1161\u11ab $x_1$ and $\\frac$ \x07"


@pytest.fixture(autouse=True)
def no_fonts_of_the_system(monkeypatch):
    """Only our own fonts count, whatever this machine has."""
    monkeypatch.setattr(fonts, "_from_system", lambda missing: ("", frozenset()))


@pytest.fixture(scope="module")
def many():
    """Tables of a study of 60 variants and 16 factors."""
    chosen = random.Random(0)
    cells = {repr(cell): cell for cell in ({key: chosen.choice(LEVELS[key]) for key in LEVELS} for _ in range(60))}
    plan = synthetic.MINE._replace(cells=tuple(cells.values()), seeds=2, epochs=2)
    tables = synthetic.tables_of([plan])
    return tables | {"summary": analysis.summarise(tables["replicas"], tables["history"])}


def texts(figure):
    return [text for text in figure.findobj(Text) if text.get_text() and text.get_visible()]


@pytest.mark.parametrize("language", ["en", "ko"])
def test_no_letter_of_a_title_is_a_box_and_what_is_replaced_is_said_once(language, caplog, monkeypatch):
    tables = synthetic.tables("mine")
    told = {"mine": {"title": f"{ODD}\n(two lines)", "words": {}}}
    drawn = []
    monkeypatch.setattr(
        "jaxcompare.report.draw.png_and_page", lambda figure: drawn.append(figure) or (style.png(figure), b"")
    )
    with warnings.catch_warnings(), caplog.at_level("WARNING"):
        warnings.simplefilter("error")  # matplotlib warns of each letter that it draws as a box
        draw_all(tables, {}, languages=[language], told=told)
    (said,) = [record.getMessage() for record in caplog.records]
    assert all(letter in said for letter in "뷁中文🎉")
    assert "한" not in said
    titles = [figure._suptitle.get_text() for figure in drawn]
    assert any("한글 ? ?? ?❤ 한 $x_1$ and $\\frac$ (two lines)" in title.replace("\ufe0f", "") for title in titles)


def test_a_font_of_the_system_draws_what_ours_lack(monkeypatch):
    monkeypatch.setattr(fonts, "_from_system", lambda missing: ("A Font", frozenset("中")))
    assert fonts.drawable("한中文") == ("한中?", "A Font")
    assert fonts.replaced(["中文"]) == ["文"]


def test_the_title_is_drawn_in_the_language_and_not_the_file_s_name():
    tables = synthetic.tables("mine")
    told = {"mine": {"title": "My title", "words": {"ko": {"title": "내 제목"}}}}
    names = list(names_of(tables, {}))
    for language, title in (("en", "My title on digits"), ("ko", "내 제목")):
        found = []
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(
                "jaxcompare.report.draw.png_and_page", lambda figure, found=found: found.append(figure) or (b"", b"")
            )
            draw(tables, {}, [names[0]._replace(language=language)], told=told)
        assert title in found[0]._suptitle.get_text()


@pytest.mark.parametrize("language", [words.ENGLISH, words.KOREAN])
def test_many_variants_leave_every_sheet_readable(many, language):
    with words.speaking(language), warnings.catch_warnings():
        warnings.simplefilter("error")  # of a layout that collapsed
        found = plots.pictures("mine", many)
        kinds = {plot.kind: plot for plot in found.values()}
        assert {"results", "optimizer_at_rate", "lr_comparison", "rate_map", "gradient_norms"} <= kinds.keys()
        for plot in kinds.values():
            figure = plot.draw()
            picture = style.raster(figure)
            assert max(picture.size) < 5000
            assert len(figure.axes) <= 2 * 12 + 2
            used, sheet = figure.get_tightbbox(), figure.bbox_inches
            assert min(used.x0, used.y0) > -0.02, plot.kind
            assert max(used.x1 - sheet.x1, used.y1 - sheet.y1) < 0.02, plot.kind
            for legend in figure.legends:
                shown = [text.get_text() for text in legend.get_texts()]
                assert len(shown) == len(set(shown)) <= 24
                assert all("2" in text for text in shown)  # runs
            for ax in figure.axes:
                if figure.legends and ax.get_subplotspec() is not None:
                    assert ax.get_window_extent().y0 >= figure.legends[0].get_window_extent().y1


def test_what_is_left_out_is_said(many):
    figure = plots.pictures("mine", many)["experiment_mine_results_digits.png"].draw()
    assert any("the best 12 of 60 combinations" in text.get_text() for text in texts(figure))
    best = many["summary"].sort_values("validation_accuracy_mean", ascending=False).iloc[0]
    assert any(f"rate {best['learning_rate']:g}" in text.get_text() for text in texts(figure))
    few = synthetic.tables("mine")
    figure = plots.pictures("mine", few)["experiment_mine_results_digits.png"].draw()
    assert not any("combinations" in text.get_text() for text in texts(figure))


@pytest.mark.parametrize("count", [10, 100])
def test_a_chart_of_many_lines_shows_some_and_says_so(count):
    points = tuple(charts.Point(x, x) for x in range(3))
    guide = charts.Series("guide", "black", points, plain=True)
    series = (*(charts.Series(f"{LONG}{index}", "blue", points) for index in range(count)), guide)
    panel = charts.Panel("title", "note", "x", "y", series)
    bars = charts.Bars("title", "note", tuple(charts.Bar(f"{LONG}{index}", 1.0, "blue") for index in range(count)))
    for one in (panel, charts.Sheet("title", "note", (panel, panel), "y"), charts.Sheet("title", "note", (bars,), "y")):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            figure = charts.draw(one)
            assert max(style.raster(figure).size) < 5000
        assert any(" of 100. " in text.get_text() or " of 200. " in text.get_text() for text in texts(figure)) == (
            count > 60
        )
        every = [*figure.legends, *(ax.get_legend() for ax in figure.axes if ax.get_legend())]
        for legend in every:
            assert len(legend.get_texts()) <= 25
        drawn = figure.axes[0].get_window_extent()
        assert drawn.height > 0.25 * figure.bbox.height


def test_cut_texts_stay_different_and_keep_both_ends():
    every = [f"{LONG}{end}, relu, rate 0.1 (n = {n})" for end in "xy" for n in (2, 3)] + ["sgd"]
    for most in (20, 60, 100):
        found = labels.shortened(every, most)
        assert len(set(found)) == len(every)
        assert all(labels.width(text) <= most for text in found)
    assert labels.shortened(["one", "two", "one"], 20) == ["one", "two", "one"]
    assert labels.shortened([LONG], 30)[0].startswith("my_package")
    assert labels.width(labels.cut("한글" * 50, 21)) <= 21


def test_a_note_keeps_its_distance_when_a_sheet_grows():
    figure = style.sheet(1, "title", "note")[0]
    (note,) = (text for text in figure.texts if text is not figure._suptitle)
    before = (1 - note.get_position()[1]) * figure.get_figheight()
    rooms.raise_by(figure, 3.0)
    assert (1 - note.get_position()[1]) * figure.get_figheight() == pytest.approx(before)
