import base64
import io
import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import synthetic
from fontTools.ttLib import TTFont
from problems import dots

import jaxcompare
from jaxcompare import analysis, report, words
from jaxcompare.analysis import pairs
from jaxcompare.report import markdown, view
from jaxcompare.report.__main__ import main
from jaxcompare.report.blocks import Heading, Items, Paragraph, Table
from jaxcompare.report.draw import Background, draw_all, names_of, wanted_of
from jaxcompare.report.environment import environment
from jaxcompare.report.findings import findings, leaders
from jaxcompare.report.read import ReportError, read_fields, read_tables
from jaxcompare.report.records import patterns_of, records
from jaxcompare.report.views import comparison_csvs, round_figures
from jaxcompare.system import publishing
from jaxcompare.system.manifest import damaged, read_manifest, write_manifest
from jaxcompare.system.strict_json import to_digested_json


@pytest.fixture(scope="module")
def tables():
    found = synthetic.tables()
    return found | {"summary": analysis.summarise(found["replicas"], found["history"], synthetic.TARGETS)}


@pytest.fixture(scope="module", autouse=True)
def undrawn():
    """Pictures are dots: how they are drawn is tested elsewhere."""

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(report, "draw_all", dots)
        yield


@pytest.fixture(scope="module")
def files(tables):
    return report.build(tables, synthetic.fields(tables["replicas"], 4), synthetic.MANIFEST).files


def views_of(tables, experiment):
    return view.views(words.ENGLISH, tables, experiment, synthetic.TARGETS)


def test_files_are_those_of_the_design(files):
    csvs = {name for name in files if name.endswith(".csv")}
    assert csvs == {
        *(f"experiment_a_comparison_{dataset}.csv" for dataset in ("fashion_mnist", "digits")),
        *(f"experiment_b_comparison_{dataset}.csv" for dataset in ("moons", "circles")),
        "experiment_c_comprehensive_comparison.csv",
    }
    assert {"report.md", "report.html", "report.ko.md", "report.ko.html"} < set(files)
    pictures = {name for name in files if name.endswith(".png")}
    answers = ("losses", "dead_units", "distributions")
    assert {name for name in pictures if name.startswith("answer_")} == {
        words.localised(f"answer_{name}.png", language) for name in answers for language in words.LANGUAGES
    }
    assert len(pictures) == 2 * (4 + 18 + 14 + 3)


@pytest.mark.parametrize("language", words.LANGUAGES)
def test_reports_show_every_picture_and_no_hole(files, language):
    page, text = (files[words.localised(name, language)].decode() for name in ("report.html", "report.md"))
    for name in files:
        if name.endswith((".png", ".gif")) and words.language_of(name) == language:
            assert f"({name})" in text
            assert f"<code>{name}</code>" in page
    plain = re.sub(r"data:image/(png|gif);base64,[^\"]+", "", page)
    for told in (text, plain):
        assert not re.search(r"\b(nan|NaN|inf|None|Undefined)\b", told)
    assert page.count("<img") == page.count('src="data:image/') == page.count(" alt=") == 39 + 2
    assert page.count('src="data:image/gif;base64,') == 2


def test_page_loads_nothing(files):
    page = files["report.html"].decode()
    assert not re.search(
        r"https?:|//[a-z]|<script[^>]+src|<link[^>]+stylesheet|@import|url\((?!data:)|\bfetch\(|XMLHttp|import\(",
        re.sub(r"base64,[^\"]+", "", page),
    )
    for target in re.findall(r'(?:src|href)="([^"]+)"', page):
        assert target.startswith(("data:", "#")) or target == "report.ko.html"
    anchors = set(re.findall(r'id="([^"]+)"', page))
    assert {link[1:] for link in re.findall(r'href="(#[^"]+)"', page)} <= anchors


def test_each_page_says_its_language_and_links_to_the_other(files):
    english, korean = files["report.html"].decode(), files["report.ko.html"].decode()
    assert '<html lang="en">' in english
    assert '<html lang="ko">' in korean
    assert 'href="report.ko.html" hreflang="ko" lang="ko">한국어 보고서<' in english
    assert 'href="report.html" hreflang="en" lang="en">This report in English<' in korean
    assert "[한국어 보고서](report.ko.md)" in files["report.md"].decode()
    assert "은(는)" not in korean


def test_one_language_alone():
    made = report.build(synthetic.tables("mine"), languages=["ko"]).files
    localised = {name for name in made if name.endswith((".md", ".html", ".png"))}
    assert {name for name in localised if not name.startswith("answer_")} == {
        *("report.ko.md", "report.ko.html"),
        *("experiment_mine_results_digits.ko.png", "gradient_norms_mine_digits.ko.png"),
    }
    assert all(".ko." in name for name in localised)
    assert "report.html" not in made["report.ko.html"].decode()


def test_titles_are_in_the_language_where_the_config_has_them():
    told = {"title": "My own", "question": "Why?", "words": {"ko": {"title": "나의 비교"}}}
    made = report.build(synthetic.tables("mine"), {}, {"experiments": {"mine": told}}).files
    assert "## My own" in made["report.md"].decode()
    korean = made["report.ko.md"].decode()
    assert "## 나의 비교" in korean
    assert "\n\nWhy?\n\n" in korean


def test_page_escapes_what_the_user_wrote():
    manifest = {"experiments": {"mine": {"question": "<script>alert(1)</script> a|b *c*"}}}
    made = report.build(synthetic.tables("mine"), {}, manifest).files
    page = made["report.html"].decode()
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert(1)" in page
    assert r"a\|b \*c\*" in made["report.md"].decode()


TRICK = "x\n\n# Injected\r\n```\n<script>alert(1)</script> [a](b) ![c](d) &lt;b&gt;\u2028## Again"


def test_text_of_a_manifest_begins_no_markup(undrawn):
    """Whoever wrote the files has no say in the page beyond its words."""
    about = {"title": TRICK, "question": f"# {TRICK}", "command": TRICK, "out": TRICK, "started": TRICK}
    about |= {"words": {"ko": {"title": TRICK, "question": f"- {TRICK}"}}, "versions": {TRICK: TRICK}, "device": TRICK}
    about |= {"data": {TRICK: {"source": TRICK, "digest": TRICK}}}
    made = report.build(synthetic.tables("mine"), {}, {"experiments": {"mine": about}}).files
    for name in ("report.md", "report.ko.md"):
        text = made[name].decode()
        fence, lines = "", []  # without code between fences
        for line in text.splitlines():
            if re.fullmatch("`{3,}", line) and fence in ("", line):
                fence = "" if fence else line
            elif not fence:
                lines.append(line)
        assert not fence
        assert not [line for line in lines if re.match(r"\s*(- )?(#+ (Injected|Again)|```)", line)]
        assert not re.search(r"(?<!\\)<script>", "\n".join(lines))
    for name in ("report.html", "report.ko.html"):
        page = made[name].decode()
        assert "<script>alert" not in page
        assert "&lt;script&gt;alert(1)" in page


def test_a_name_of_a_table_cannot_leave_the_folder(tmp_path, undrawn):
    found = synthetic.tables("mine")
    for name, table in found.items():
        for column in {"experiment", "study", "dataset"} & set(table):
            found[name] = table.assign(**{column: "z/../../../x"})
    folder = tmp_path / "a" / "b" / "c" / "results"
    folder.mkdir(parents=True)
    written = report.write(folder, found, {}, {"experiments": {"z/../../../x": {"title": "../../x"}}})
    assert {path.parent for path in written.paths} == {folder}
    assert {path for path in tmp_path.rglob("*") if path.is_file()} == set(written.paths)


def test_a_file_of_another_folder_is_not_written(tmp_path, undrawn, monkeypatch):
    monkeypatch.setattr(report, "_findings", lambda *_: {"../findings.json": b""})
    with pytest.raises(report.ReportError, match=r"'\.\./findings\.json' would be a file of another folder"):
        report.write(tmp_path / "results", synthetic.tables("mine"))
    assert not list(tmp_path.iterdir())


def test_report_stands_without_a_manifest_or_optional_tables(tables):
    fewer = {name: tables[name] for name in ("replicas", "history")}
    made = report.build(fewer).files
    assert b"dead" not in made["experiment_b_comparison_moons.csv"]
    assert "activation_distributions_moons.png" not in made


def test_csv_has_a_row_a_variant_and_says_what_failed(tables):
    def csvs_of(name, inside=None):
        given = (tables["replicas"], tables["summary"], inside)
        return comparison_csvs(name, *given, patterns=synthetic.PATTERNS[name])

    inside = analysis.summarise_layers(tables["replicas"], tables["layers"])
    found = csvs_of("b", inside)["experiment_b_comparison_moons.csv"]
    assert len(found) == 9
    assert found["best_rate"].sum() == 3
    assert list(found.columns[:4]) == ["dataset", "activation", "learning_rate", "best_rate"]
    stuck = found[(found["activation"] == "sigmoid") & (found["learning_rate"] == 0.01)].iloc[0]
    assert (stuck["n_stuck"], stuck["reached"]) == (10, 0)
    assert stuck["steps_to_target_median"] == float("inf")
    assert stuck["gradient_ratio_initial"] < 1e-3
    assert found["dead_fraction_final"].notna()[found["activation"] == "relu"].all()
    whole = csvs_of("c")["experiment_c_comprehensive_comparison.csv"]
    assert len(whole) == 18
    assert list(whole.columns[:4]) == ["dataset", "optimizer", "schedule", "learning_rate"]
    assert pd.isna(whole[(whole["n_diverged"] > 0)]["test_accuracy_mean"]).all()


def test_figures_are_rounded_to_five_digits():
    found = round_figures(pd.DataFrame({"x": [1 / 3, 123456.7, float("nan"), float("inf")], "n": [1, 2, 3, 4]}))
    assert found["x"].tolist()[:2] == [0.33333, 123460.0]
    assert found["n"].tolist() == [1, 2, 3, 4]


def claims(first, second, seeds=5):
    """The reading and sentence of two variants with these test accuracies."""
    table = synthetic.tables("a")
    ids = ["a-digits-cross_entropy-0.1", "a-digits-mse-1.0"]
    replicas = table["replicas"][table["replicas"]["variant_id"].isin(ids) & (table["replicas"]["seed"] < seeds)]
    history = table["history"][table["history"]["replica_id"].isin(replicas["replica_id"])].copy()
    last = history["epoch"] == history["epoch"].max()
    for name, values in zip(ids, (first, second), strict=True):
        mine = last & history["replica_id"].str.startswith(name)
        history.loc[mine, ["test_accuracy", "validation_accuracy"]] = [[value, value] for value in values]
    summary = analysis.summarise(replicas, history)
    found = view.views(words.ENGLISH, {"replicas": replicas, "history": history, "summary": summary}, "a", {})[0]
    return found.claims.iloc[0]["reading"], findings(found)[0]


def test_claims_follow_the_numbers():
    clear = claims([0.90, 0.91, 0.92, 0.91, 0.90], [0.80, 0.82, 0.81, 0.80, 0.81])
    assert clear[0] == "above"
    assert clear[1].startswith("Cross-entropy beats MSE on probabilities by 10.00 points [")
    assert re.search(r"\], better in 5 of 5 seeds, d = [\d.]+ \[[\d., ]+\], p < 0.001\.", clear[1])
    vague = claims([0.90, 0.80, 0.90, 0.80, 0.85], [0.85, 0.90, 0.80, 0.80, 0.85])
    assert vague[0] == "none"
    assert vague[1].startswith("No difference shown between")
    few = claims([0.9, 0.9], [0.8, 0.8], seeds=2)
    assert few[0] == "few"
    assert "no difference is shown" in few[1]


def test_leader_of_validation_that_loses_on_test_is_said_to():
    assert pairs.reading(5, -0.02, 0.001) == "below"
    assert pairs.reading(5, 0.02, 0.06) == "none"
    assert pairs.reading(5, 0.02, float("nan")) == "none"
    assert pairs.reading(5, float("nan"), float("nan")) == "failed"


def test_findings_name_edges_failures_dead_units_and_vanishing_gradients(tables):
    moons = " ".join(findings(views_of(tables, "b")[0]))
    assert "The best rate of sigmoid, 0.5, is the highest tried" in moons
    assert "Sigmoid at rate 0.01: 10 of 10 stuck at chance; reached 0.9: 0 of 10." in moons
    assert re.search(
        r"ReLU: \d+\.\d% of hidden units are dead .* at rate 0\.5, \d+\.\d% before the first step\.", moons
    )
    assert re.search(r"Sigmoid: gradients vanish at hidden 1\..* below 0\.001 times .* is 0\.000\d times", moons)
    assert "ReLU: gradients vanish" not in moons
    optimizers = " ".join(findings(views_of(tables, "c")[0]))
    assert "AdamW (constant) at rate 0.1: 5 of 5 diverged; reached 0.85: 0 of 5." in optimizers
    assert "Momentum (constant) at rate 0.1: 1 of 5 diverged; reached 0.85: 3 of 5." in optimizers


def test_summary_has_a_line_for_each_comparison_and_schedule(tables):
    lines = [line for name in "abc" for one in views_of(tables, name) for line in leaders(one, name)]
    assert len(lines) == 2 + 2 + 2
    assert all(re.search(r"test accuracy 0\.\d{4} \[0\.\d{4}, 0\.\d{4}\] \(n = \d+\)", line) for line in lines)


def test_protocol_is_told(files):
    text = files["report.md"].decode()
    assert "cross-entropy 0.01, 0.1, 1; MSE on probabilities 0.1, 1, 10" in text
    assert "The learning rate was selected on the same seeds that are reported" in text
    assert "At one common rate (1)" in text
    assert "sign-flip p cannot fall below 0.0625" in text
    assert "not the time of one run alone" in text


def test_quick_runs_are_marked():
    manifest = {"experiments": {"mine": {"quick": True, "title": "My own"}}}
    made = report.build(synthetic.tables("mine"), {}, manifest).files["report.md"].decode()
    assert "> **This is a quick run (My own)" in made
    assert "## My own" in made


def test_records_lay_an_experiments_own_entry_over_the_rest():
    manifest = {"device": "x", "titles": {"a": {"title": "A"}}, "experiments": {"a": {"device": "y"}}}
    assert records(manifest, ["a", "b"]) == {"a": {"device": "y", "title": "A"}, "b": {"device": "x"}}


def test_a_file_s_pattern_belongs_to_the_first_experiment_that_declares_it():
    """A user's copy of a shipped config overwrites no file of that comparison."""
    told = {
        "b": {"files": synthetic.PATTERNS["b"]},
        "copy": {"files": {**synthetic.PATTERNS["b"], "study": ""}},
        "a": {},
    }
    assert patterns_of(told) == {"b": synthetic.PATTERNS["b"], "copy": {"study": ""}, "a": {}}
    both = synthetic.tables("b", "my_moons")
    manifest = {
        "files": ["report.md"],
        "experiments": {name: {"files": synthetic.PATTERNS["b"]} for name in ("b", "my_moons")},
    }
    made = report.build(both, synthetic.fields(both["replicas"], 4), manifest, languages=["en"])
    assert {"decision_boundary_moons_relu.png", "decision_boundary_my_moons_moons_relu.png"} < set(made.files)
    assert not made.failures


def test_broken_patterns_in_a_manifest_are_left_out():
    told = {
        "a": {
            "files": {"results": "x{y}.png", "none": "x.png", "study": "../x.png", "dead_units": "dead_{dataset}.png"}
        }
    }
    assert patterns_of(told) == {"a": {"dead_units": "dead_{dataset}.png"}}


def test_alternative_texts_say_what_a_picture_shows(files):
    text = files["report.md"].decode()
    assert (
        "![Learning curves on digits: losses and accuracies by epoch, accuracy by learning rate, for each loss.]("
        in text
    )
    assert "![ReLU on moons: mean probability of class 1, and the decision boundary of every seed.](" in text
    for alt, name in re.findall(r"!\[(.*?)\]\(([\w.]+)\)", text):
        assert "_" not in alt
        assert name.rpartition(".")[0] not in alt.replace(" ", "_")


def test_environment_has_a_column_an_experiment_where_they_differ():
    told = {"a": {"device": "x"}, "b": {"device": "y"}}
    table = environment(words.ENGLISH, told, {"a": "A", "b": "B"})[1]
    assert table.columns[1:] == ("A", "B")
    assert table.rows[0][1:] == ("x", "y")


def test_markdown_escapes_only_what_is_markup():
    blocks = [Heading(2, "he_normal", "x"), Paragraph("p < 0.001 [0, 1] (n) a_b _c_"), Items(("<b>",))]
    blocks.append(Table("", ("a|b",), (("[x](y)",),)))
    assert markdown.render(blocks) == (
        "## he_normal\n\np < 0.001 [0, 1] (n) a_b \\_c\\_\n\n- \\<b>\n\n| a\\|b |\n| --- |\n| [x\\](y) |\n"
    )


def test_every_word_that_the_code_asks_for_is_there():
    folder = Path(jaxcompare.__file__).parent
    asked = set()
    for path in [*folder.glob("plots/*.py"), *folder.glob("report/*.py")]:
        asked |= set(re.findall(r'say\(\s*"([\w.]+)"', path.read_text(encoding="utf-8")))
    assert len(asked) > 50
    assert asked <= set(words.ENGLISH.catalogue)
    with pytest.raises(KeyError):
        words.say("no.such.key")


def test_command_remakes_a_report_from_its_folder(tmp_path, capsys):
    found = synthetic.tables("a")
    synthetic.save(tmp_path, found, {})
    assert main([str(tmp_path)]) == 0
    assert (tmp_path / "report.html").exists()
    assert (tmp_path / "experiment_a_comparison_digits.csv").exists()
    assert not list(tmp_path.glob(".*"))
    assert "wrote 17 files" in capsys.readouterr().out
    assert main([str(tmp_path), "--lang", "kr"]) == 2
    assert "--lang kr: no such language; did you mean ko?" in capsys.readouterr().err


def broken(folder: Path, how: str) -> None:
    damage = {
        "no tables": lambda: [path.unlink() for path in (folder / "tables").glob("*")],
        "no history": lambda: (folder / "tables" / "history.parquet").unlink(),
        "a column less": lambda: (
            pd.read_parquet(folder / "tables" / "history.parquet")
            .drop(columns="test_accuracy")
            .to_parquet(folder / "tables" / "history.parquet")
        ),
        "no rows": lambda: (
            pd.read_parquet(folder / "tables" / "replicas.parquet")
            .iloc[:0]
            .to_parquet(folder / "tables" / "replicas.parquet")
        ),
        "half a table": lambda: (folder / "tables" / "replicas.parquet").write_bytes(b"PAR1 and no more"),
        "half the fields": lambda: (folder / "tables" / "fields.npz").write_bytes(b"PK and no more"),
        "no manifest": lambda: (folder / "manifest.json").unlink(),
        "half a manifest": lambda: (folder / "manifest.json").write_text('{"versions": '),
        "a list for a manifest": lambda: (folder / "manifest.json").write_text(json.dumps([1])),
    }
    damage[how]()


@pytest.mark.parametrize(
    "how",
    [
        "no tables",
        "no history",
        "a column less",
        "no rows",
        "half a table",
        "half the fields",
        "no manifest",
        "half a manifest",
        "a list for a manifest",
    ],
)
def test_broken_results_are_refused_and_nothing_is_written(tmp_path, how, capsys):
    synthetic.save(tmp_path, synthetic.tables("mine"), {})
    (tmp_path / "report.md").write_text("the old one")
    broken(tmp_path, how)
    before = sorted(tmp_path.rglob("*"))
    assert main([str(tmp_path)]) == 2
    message = capsys.readouterr().err
    assert message.startswith("jaxcompare.report: ")
    assert "Traceback" not in message
    assert sorted(tmp_path.rglob("*")) == before
    assert (tmp_path / "report.md").read_text() == "the old one"


def test_a_table_that_is_not_as_it_was_written_is_named(tmp_path, capsys):
    synthetic.save(tmp_path, synthetic.tables("mine"), {"moons/x": np.arange(50.0)})
    write_manifest(tmp_path, synthetic.MANIFEST)
    generator = np.random.default_rng(0)
    for path in sorted((tmp_path / "tables").glob("*")):
        whole = path.read_bytes()
        for _ in range(20 if path.suffix != ".csv" else 0):
            content = bytearray(whole)
            content[generator.integers(len(content))] ^= 1 << generator.integers(8)
            path.write_bytes(content)
            with pytest.raises(ReportError, match=rf"{path.name} is not the file that the run wrote"):
                read_tables(tmp_path), read_fields(tmp_path)
        path.unlink()
        assert path.suffix == ".csv" or main([str(tmp_path)]) == 2
        path.write_bytes(whole)
    assert "No such file" in capsys.readouterr().err
    assert len(read_tables(tmp_path)) > 3


def test_a_report_that_was_remade_is_in_the_manifest(tmp_path, capsys):
    synthetic.save(tmp_path, synthetic.tables("a"), {})
    old = read_manifest(tmp_path)
    assert main([str(tmp_path), "--lang", "en"]) == 0
    assert "has no digests" in capsys.readouterr().err
    assert read_manifest(tmp_path)["files"] == sorted(
        names_in(tmp_path) - {path.relative_to(tmp_path).as_posix() for path in tmp_path.glob("tables/*")}
    )
    write_manifest(tmp_path, old)
    assert main([str(tmp_path), "--lang", "ko"]) == 0
    assert capsys.readouterr().err == ""
    manifest = read_manifest(tmp_path)
    assert set(manifest["files"]) == names_in(tmp_path)
    assert not damaged(tmp_path, manifest)


@pytest.mark.parametrize("gone", ["report.md", "some/picture.png"])
def test_a_report_can_be_remade_where_a_file_was_removed(tmp_path, gone):
    synthetic.save(tmp_path, synthetic.tables("a"), {})
    for digests in (True, False):
        named = {"files": {gone: "0" * 64}} if digests else {"files": [gone, "tables/history.parquet"]}
        (tmp_path / "manifest.json").write_text(to_digested_json({**synthetic.MANIFEST, **named}))
        for _ in range(2):  # nothing is left that fails the next time
            assert main([str(tmp_path), "--lang", "en"]) == 0
    assert (tmp_path / "report.html").is_file()
    assert not (tmp_path / ".run").exists()


def names_in(folder):
    names = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    return names - {"manifest.json"}


def test_a_folder_that_another_process_has_is_left_alone(tmp_path, capsys):
    synthetic.save(tmp_path, synthetic.tables("a"), {})
    with publishing.alone(tmp_path):
        assert main([str(tmp_path)]) == 2
    assert "another run writes there now" in capsys.readouterr().err
    assert not (tmp_path / "report.md").exists()


def test_a_folder_that_is_not_there_is_refused(tmp_path, capsys):
    assert main([str(tmp_path / "none")]) == 2
    assert "is not a folder" in capsys.readouterr().err


@pytest.mark.slow
def test_processes_draw_the_same_bytes():
    found = synthetic.tables("a")
    found["summary"] = analysis.summarise(found["replicas"], found["history"])
    fewer = {name: table for name, table in found.items() if name != "layers"}
    here = draw_all(fewer, {}, workers=1)
    assert here == draw_all(fewer, {}, workers=2)
    with Background() as background:
        background.start(fewer, {})
        background.futures[0].result()
        drawn = background.collect()
    assert drawn
    assert (
        drawn.items()
        <= {one: here[words.localised(one.name, one.language)] for one in wanted_of(names_of(fewer, {}))}.items()
    )
    assert draw_all(fewer, {}, drawn=drawn) == here


@pytest.mark.parametrize(("name", "least"), [("report.ko.html", 100), ("report.html", 5)])
def test_a_page_brings_the_korean_letters_that_it_needs(files, name, least):
    """The English one for its link to the Korean one."""
    page = files[name].decode()
    (data,) = re.findall(
        r"@font-face \{ font-family: 'Jaxcompare Gothic'; src: url\(data:font/woff;base64,([^)]+)\)", page
    )
    assert len(data) < 400_000
    font = TTFont(io.BytesIO(base64.b64decode(data)))
    syllables = {letter for letter in re.sub(r"base64,[^\")]+", "", page) if "가" <= letter <= "힣"}
    assert len(syllables) >= least
    assert syllables <= {chr(code) for code in font.getBestCmap()}
    assert len(font.getBestCmap()) < 100 + 2 * len(syllables)
    assert "OFL" in str(font["name"].getDebugName(14)) or "openfontlicense" in str(font["name"].getDebugName(14))
