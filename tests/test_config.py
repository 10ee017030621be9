"""Configs: what is expanded, what is refused and how it is said."""

import dataclasses
import math
import re
import tomllib

import numpy as np
import pytest

from jaxcompare import run
from jaxcompare.config import files, names, overrides
from jaxcompare.config.comparison import choices, variant_id
from jaxcompare.config.confirmation import confirming
from jaxcompare.config.errors import ConfigError, InputError
from jaxcompare.config.load import load, shipped
from jaxcompare.config.parse import parse, quick
from jaxcompare.config.settings import KEYS, NOT_FACTORS, USES, Settings, declared, keys_of
from jaxcompare.data.base import DataError
from jaxcompare.data.loading import DATA_KEYS
from jaxcompare.execution.manifest import resolved
from jaxcompare.planning.programs import STATIC


def config(grid=None, base=None, **study):
    return {"base": base or {}, "study": [{"name": "main", "grid": {} if grid is None else grid, **study}]}


def claiming(**changes):
    claim = {"factor": "loss", "better": "cross_entropy", "than": "mse"} | changes
    grid = {"loss": ["cross_entropy", "mse"], "learning_rate": [0.1, 0.01]}
    return config(grid, claims=[claim])


def variants(*args, **kwargs):
    return [variant.settings for variant in parse("x", config(*args, **kwargs)).studies[0].variants]


def test_a_new_setting_renames_nothing():
    """What is at its default is not in an id: neither a setting of a later version nor an optimizer's option."""

    @dataclasses.dataclass(frozen=True)
    class Later(Settings):
        mixup: float = 0.0

    (variant,) = parse("x", {"study": [{"grid": {"optimizer": ["adamw"]}}]}).studies[0].variants
    study = parse("x", {"study": [{"grid": {"optimizer": ["adamw"]}}]}).studies[0].name
    values = {field.name: getattr(variant.settings, field.name) for field in dataclasses.fields(Settings)}
    assert variant_id("x", study, Later(**values)) == variant.variant_id
    assert variant_id("x", study, Later(**values, mixup=0.1)) != variant.variant_id
    assert choices(variant.settings) == {"optimizer": "adamw"}
    assert choices(dataclasses.replace(variant.settings, weight_decay=0.02)) == {
        "optimizer": "adamw",
        "weight_decay": 0.02,
    }


def test_a_grid_is_the_product_of_its_lists():
    found = variants({"optimizer": ["sgd", "adamw"], "learning_rate": [0.1, 0.01, 0.001]})
    assert [(s.optimizer, s.learning_rate) for s in found] == [
        (optimizer, rate) for optimizer in ("sgd", "adamw") for rate in (0.1, 0.01, 0.001)
    ]


def test_several_grids_are_their_union():
    grids = [{"loss": ["mse"], "learning_rate": [1, 3]}, {"loss": ["cross_entropy"], "learning_rate": [0.1]}]
    assert [(s.loss, s.learning_rate) for s in variants(grids)] == [("mse", 1.0), ("mse", 3.0), ("cross_entropy", 0.1)]


def test_defaults_come_from_one_place():
    (found,) = variants({})
    assert found.batch_size == Settings().batch_size
    assert found.hidden == (256, 128)


def test_an_option_defaults_to_its_own_optimizers():
    found = {s.optimizer: s for s in variants({"optimizer": list(names.OPTIMIZERS)})}
    assert found["adamw"].weight_decay == 0.01
    assert found["sgd"].weight_decay == 0.0
    assert found["lion"].beta2 == 0.99
    assert found["adam"].beta2 == 0.999
    assert found["sgd"].momentum is None


def test_an_option_in_base_serves_those_that_have_it():
    found = {s.optimizer: s for s in variants({"optimizer": ["sgd", "momentum"]}, base={"momentum": 0.5})}
    assert found["momentum"].momentum == 0.5
    assert found["sgd"].momentum is None


def test_a_studys_own_base_goes_first():
    (found,) = variants({}, base={"epochs": 3, "seeds": 7})
    assert found.epochs == 3
    made = parse("x", {"base": {"epochs": 3}, "study": [{"name": "s", "base": {"epochs": 9}}]})
    assert made.studies[0].variants[0].settings.epochs == 9


def test_a_list_valued_key_takes_a_list_of_lists():
    assert [s.hidden for s in variants({"hidden": [[8], [8, 4]]})] == [(8,), (8, 4)]


def test_no_clipping_is_infinity():
    assert [s.clip_norm for s in variants({"clip_norm": [math.inf, 1.0]})] == [math.inf, 1.0]


def test_identities_do_not_change_when_a_study_grows():
    few = parse("x", config({"learning_rate": [0.1]}, {"seeds": 2})).studies[0]
    more = parse("x", config({"learning_rate": [0.3, 0.1]}, {"seeds": 9})).studies[0]
    assert few.variants[0].variant_id == more.variants[1].variant_id
    assert len({variant.variant_id for variant in more.variants}) == 2
    assert more.seeds == tuple(range(9))


def test_labels_say_what_varies_in_words():
    study = parse("x", config({"loss": ["mse"], "learning_rate": [0.1, 1], "dataset": ["moons", "circles"]})).studies[0]
    assert [variant.label for variant in study.variants] == ["rate 0.1", "rate 0.1", "rate 1", "rate 1"]


def test_the_learning_rate_is_a_nuisance_unless_told():
    study = parse("x", config({"loss": ["mse", "cross_entropy"], "learning_rate": [0.1, 1]})).studies[0]
    assert study.roles == {"loss": "scientific", "learning_rate": "nuisance"}


WRONG = {
    "top key": ({"study": [{}], "bse": {}}, "no key 'bse'; did you mean base"),
    "language": (config() | {"words": {"kr": {}}}, "x: words: no key 'kr'; did you mean ko"),
    "words' key": (config() | {"words": {"ko": {"titel": "x"}}}, "x: words.ko: no key 'titel'; did you mean title"),
    "words' text": (config() | {"words": {"ko": {"title": 3}}}, "words.ko.title = 3 is not a text"),
    "words": (config() | {"words": "ko"}, "words = 'ko' is not a table"),
    "base key": (config(base={"epoch": 3}), "no key 'epoch'; did you mean epochs"),
    "study key": ({"study": [{"grids": {}}]}, "no key 'grids'; did you mean grid"),
    "no study": ({}, r"no \[\[study\]\]"),
    "name": (config({"optimizer": ["adamm"]}), "no optimizer 'adamm'; did you mean adam"),
    "not a name": (config(base={"loss": 3}), "loss = 3 is not a name"),
    "type": (config(base={"epochs": 2.5}), "epochs = 2.5 is not a whole number"),
    "truth": (config(base={"epochs": True}), "epochs = True is not a whole number"),
    "text": (config(base={"learning_rate": "fast"}), "learning_rate = 'fast' is not a number"),
    "low": (config(base={"learning_rate": 0}), "learning_rate = 0 is out of range; it must be greater than 0"),
    "high": (config(base={"momentum": 1}), "momentum = 1 is out of range; it must be at least 0 and less than 1"),
    "nan": (config(base={"learning_rate": math.nan}), "out of range"),
    "clip": (config(base={"clip_norm": -1}), "clip_norm = -1 is out of range"),
    "hidden": (config(base={"hidden": 8}), "hidden = 8 is not a list"),
    "width": (config(base={"hidden": [0]}), "hidden = 0 is out of range"),
    "scalar grid": (config({"learning_rate": 0.1}), "grid.learning_rate = 0.1 is not a list"),
    "empty grid": (config({"learning_rate": []}), r"grid.learning_rate = \[\] is not a list"),
    "twice": (config({"learning_rate": [0.1, 0.1]}), "is repeated in the grids"),
    "twice in two grids": (config([{"loss": ["mse"]}, {"loss": ["mse", "cross_entropy"]}]), "is repeated in the grids"),
    "seeds vary": (config({"seeds": [1, 2]}), "seeds = .* cannot vary"),
    "no effect": (
        config({"optimizer": ["sgd"], "momentum": [0.5, 0.9]}),
        "momentum = 0.5 has no effect on optimizer 'sgd'",
    ),
    "no noise": (config({"dataset": ["digits"], "noise": [0.1]}), "noise = 0.1 has no effect on dataset 'digits'"),
    "options": (config({"options": {"b1": [0.9]}}), "options.b1 is for a custom optimizer"),
    "claim": (claiming(factor="los"), "factor = 'los' does not vary; did you mean loss"),
    "claim of what is tuned": (claiming(factor="learning_rate"), "factor = 'learning_rate' is tuned"),
    "claim's key": (claiming(worse="mse"), "claims.1: no key 'worse'; known: factor, better, than"),
    "claim's level": (claiming(than="mse_logits"), "than = 'mse_logits' is not in the grid; known: cross_entropy, mse"),
    "claim's name": (claiming(better="cross"), "no loss 'cross'; did you mean cross_entropy"),
    "claim without a side": ({"study": [{"claims": [{"factor": "loss"}]}]}, "claims.1: better is missing"),
    "claim against itself": (claiming(than="cross_entropy"), "better = than = 'cross_entropy'"),
    "claims": (config({}, claims="cross_entropy > mse"), "claims = 'cross_entropy > mse' is not a list of tables"),
    "confirm": (config({}, confirm=-1), "confirm = -1 is not a number of seeds"),
    "role": (config({}, roles={"loss": "science"}), "roles.loss = 'science'; did you mean scientific"),
    "role key": (config({}, roles={"los": "fixed"}), "no key 'los'; did you mean loss"),
    "target": ({**config(), "target": 85}, "target = 85 is not an accuracy"),
    "no variants": ({"study": [{"grid": []}]}, r"grid = \[\] has no variants"),
    "init scale": (config({"init_scale": [0.1, 0.2]}), "init_scale = 0.1 has no effect on init 'he_normal'"),
    "two names": ({"study": [{"name": "s"}, {"name": "s"}]}, "name = 's' is not a unique word"),
}


@pytest.mark.parametrize(("wrong", "message"), WRONG.values(), ids=WRONG.keys())
def test_what_is_wrong_is_said_with_field_value_and_the_nearest(wrong, message):
    with pytest.raises(ConfigError, match=message):
        parse("x", wrong)


def test_plugins_are_names_too():
    (found,) = variants({}, base={"optimizer": "optax:adam", "options": {"b1": 0.8}, "activation": "jax.nn:relu6"})
    assert found.options == {"b1": 0.8}


@pytest.mark.parametrize("name", shipped())
def test_shipped_configs_are_what_the_readme_says(name):
    loaded, read = load(name)
    comparison = parse(loaded, read)
    assert comparison.question.endswith("?")
    for study in comparison.studies:
        # What a study beside the main ones asks is not which rate is best: fewer seeds and epochs answer it.
        tuned = study.roles.get("learning_rate") == "nuisance" or study.name == "main"
        assert len(study.seeds) >= (10 if name == "b" and tuned else 5)
        for variant in study.variants:
            assert variant.settings.epochs >= (5 if tuned else 1)
            if name == "b":
                assert len(variant.settings.hidden) >= 4
    short = parse(name, quick(read))
    assert [len(study.variants) for study in short.studies] == [len(study.variants) for study in comparison.studies]
    assert all(len(study.seeds) == 2 for study in short.studies)


@pytest.mark.parametrize("wrong", [{"study": {"name": "main"}}, {"base": 3, "study": [{}]}, {"study": [{"base": 3}]}])
def test_a_config_of_the_wrong_shape_is_refused(wrong):
    with pytest.raises(ConfigError, match=r"no \[\[study\]\]|is not a table"):
        parse("x", wrong)


def command(folder, text, *options):
    """The exit code of the command for a config of this text."""
    path = folder / "mine.toml"
    path.write_text(text)
    return run.main(["--exp", str(path), "--out", str(folder / "out"), *options])


@pytest.mark.parametrize("options", [["--quick"], ["--set", "study.main.grid.loss=['mse']"], []], ids=" ".join)
@pytest.mark.parametrize("place", ["[base]\n{} = {}\n[[study]]", "[[study]]\n[study.base]\n{} = {}"])
@pytest.mark.parametrize("key", ["epochs", "seeds"])
@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("'ten'", "'ten' is not a whole number"),
        ("[10]", "[10] is not a whole number"),
        ("{}", "{} is not a whole number"),
        ("true", "True is not a whole number"),
        ("nan", "nan is not a whole number"),
        ("inf", "inf is not a whole number"),
        ("2.5", "2.5 is not a whole number"),
        ("1979-05-27", "datetime.date(1979, 5, 27) is not a whole number"),
        ("-1", "-1 is out of range; it must be at least 1"),
    ],
)
def test_a_wrong_value_is_named_before_it_is_changed(key, written, shown, place, options, tmp_path, capsys):
    assert command(tmp_path, place.format(key, written), *options) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("jaxcompare: error: mine: ")
    assert f"base.{key} = {shown}" in line


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[[study]]\nconfirm = 'five'", "confirm = 'five' is not a number of seeds"),
        ("[[study]]\nconfirm = true", "confirm = True is not a number of seeds"),
        ("[[study]]\nconfirm = nan", "confirm = nan is not a number of seeds"),
        ("base = 3\n[[study]]", "base = 3 is not a table"),
        ("[[study]]\nbase = [3]", r"base = \[3\] is not a table"),
        ("[[study]]\nroles = 3", "roles = 3 is not a table"),
        ("[[study]]\nclaims = 3", "claims = 3 is not a list of tables"),
        (
            "[[study]]\nclaims = [{factor = ['loss'], better = 'mse', than = 'mse'}]",
            r"factor = \['loss'\] does not vary",
        ),
        ("study = 3", r"no \[\[study\]\]"),
        ("[base]\nepochs = 3", r"no \[\[study\]\]"),
    ],
)
@pytest.mark.parametrize("option", ["--quick", "--set=study.main.roles.loss=fixed", "--set=study.main.grid.loss=[1]"])
def test_every_part_is_checked_before_it_is_changed(text, message, option, tmp_path, capsys):
    assert command(tmp_path, text, option) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert re.search(message, line)


def test_what_is_missing_has_its_default_in_a_quick_run():
    short = parse("x", quick({"study": [{}]})).studies[0]
    assert short.variants[0].settings.epochs == round(Settings().epochs * 0.2)
    assert len(short.seeds) == 2


def test_a_command_tells_a_users_errors_from_its_own(monkeypatch, capsys):
    for error in (InputError("x is missing"), DataError("x is missing"), ConfigError("x is missing")):
        monkeypatch.setattr(run, "read_comparisons", lambda arguments, error=error: (_ for _ in ()).throw(error))
        assert run.main([]) == 2
        assert capsys.readouterr().err == "jaxcompare: error: x is missing\n"
    monkeypatch.setattr(run, "read_comparisons", lambda arguments: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        run.main([])


def test_the_shipped_comparisons_are_the_files(tmp_path, capsys):
    found = shipped()
    assert [load(name)[0] for name in found] == list(found) == sorted(found)
    assert len({path.name for path in found.values()}) == len(found) > 1
    comparisons, configs = run.read_comparisons(run.parser().parse_args([]))
    assert [comparison.name for comparison in comparisons] == list(configs) == list(found)
    assert "|".join((*found, "all", "FILE.toml")) in run.parser().format_help()
    first = next(iter(found))
    (tmp_path / f"{first}.toml").write_text("[[study]]")
    assert run.main(["--exp", str(tmp_path / f"{first}.toml")]) == 2
    assert f"{first}.toml would replace comparison {first!r}" in capsys.readouterr().err


def test_files_are_named_by_patterns():
    kind, pattern = next(iter(files.FILES.items()))
    made = parse("x", config() | {"files": {kind: pattern}})
    assert made.files == made.as_dict()["files"] == {kind: pattern}
    assert parse("x", config()).files == {}


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("results", "x: files = 'results' is not a table"),
        ({"result": "x.png"}, "x: files: no key 'result'; did you mean results"),
        ({"results": 3}, "x: files.results = 3 is not a text"),
        ({"results": "a/{dataset}.png"}, "x: files.results = 'a/{dataset}.png' "),
        ({"results": "{datset}.png"}, "x: files.results = '{datset}.png' may use the placeholders"),
        ({"results": "{dataset.png"}, "x: files.results = '{dataset.png' "),
    ],
)
def test_a_wrong_name_of_a_file_is_named(table, message):
    with pytest.raises(ConfigError, match=re.escape(message)):
        parse("x", config() | {"files": table})


def test_every_setting_has_one_use_and_is_in_the_lists_of_that_use():
    by_use = {use: [key for key in KEYS if KEYS[key].metadata["use"] == use] for use in USES}
    assert all(by_use.values())
    assert sorted(STATIC) == sorted(key for key in KEYS if key not in (*keys_of("traced"), *keys_of("run")))
    assert (*by_use["run"], *by_use["measuring.examples"], *by_use["measuring.epochs"]) == NOT_FACTORS
    assert list(DATA_KEYS) == by_use["data.source"]


@pytest.mark.parametrize("use", USES)
def test_a_new_setting_is_in_the_lists_of_its_use(use):
    dummy = ("dummy", int, dataclasses.field(default=1, metadata={"use": use}))
    keys = declared(dataclasses.make_dataclass("More", [dummy], bases=(Settings,), frozen=True))
    assert "dummy" in keys_of(use, keys=keys)
    assert "dummy" in keys_of(use.split(".")[0], keys=keys)
    static = "dummy" in keys_of("data", "static", "measuring", keys=keys)
    assert static == (use not in ("traced", "run"))


@pytest.mark.parametrize("metadata", [{}, {"use": "sttaic"}])
def test_a_setting_without_a_use_is_an_error(metadata):
    dummy = ("dummy", int, dataclasses.field(default=1, metadata=metadata))
    with pytest.raises(TypeError, match=r"setting 'dummy': use = .* is not one of data, "):
        declared(dataclasses.make_dataclass("More", [dummy]))
    with pytest.raises(ValueError, match="no use 'sttaic'"):
        keys_of("sttaic")


def applied(*assignments):
    configs = {name: load(name)[1] for name in ("a", "c")}
    return {name: parse(name, one) for name, one in overrides.apply(configs, assignments).items()}


def test_set_reaches_every_config_that_has_the_path():
    found = applied("base.epochs=2", "study.main.grid.learning_rate=[0.3]", "a.base.seeds=6")
    assert {s.variants[0].settings.epochs for one in found.values() for s in one.studies} == {2}
    assert {v.settings.learning_rate for v in found["c"].studies[0].variants} == {0.3}
    assert len(found["a"].studies[0].seeds) == 6
    assert len(found["c"].studies[0].seeds) == 5


def test_set_reaches_one_of_several_grids():
    found = applied("study.digits.grid.2.learning_rate=[7]", "study.digits.base.epochs=1")
    digits = next(study for study in found["a"].studies if study.name == "digits")
    assert {v.settings.learning_rate for v in digits.variants if v.settings.loss == "mse"} == {7.0}
    assert digits.variants[0].settings.epochs == 1


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("base.epochs", "not of the form KEY=VALUE"),
        ("=3", "not of the form KEY=VALUE"),
        ("base.epoch=3", "did you mean epochs"),
        ("bas.epochs=3", "did you mean base"),
        ("study.mian.grid.loss=['mse']", "no study 'mian'"),
        ("study.digits.grid.learning_rate=[1]", "has 2 grids; name one"),
        ("study.digits.grid.5.learning_rate=[1]", "has 2 grids; name one"),
        ("study.digits.grid=3", "not a path into a study"),
        ("study.digits.gird.loss=[1]", "did you mean grid"),
        ("base.hidden=256", "not a list"),
        ("study.main.grid.optimizer=[sgd,lion]", r"""Write --set 'study.main.grid.optimizer=\["sgd","lion"\]'"""),
        ("study.main.claims=[{factor=loss}]", r"""Write --set 'study.main.claims=\[{factor="loss"}\]'"""),
        ("base.hidden=[8,8", "single quotes around the whole"),
        ("digits.grid.loss=['mse']", "did you mean study.digits.grid.loss"),
    ],
)
def test_a_wrong_set_says_what_is_right(assignment, message):
    with pytest.raises(ConfigError, match=message):
        applied(assignment)


SMALL = {"title": "T", "base": {"dataset": "moons", "hidden": [8]}, "study": [{"grid": {"optimizer": ["sgd", "adam"]}}]}


@pytest.mark.parametrize("name", ["base", "study", "title", "v1.2", "mine"])
@pytest.mark.parametrize("prefixed", [False, True])
def test_overrides_reach_a_config_whatever_its_file_is_called(name, prefixed):
    before = f"{name}." if prefixed and name in ("v1.2", "mine") else ""
    changed = overrides.apply({name: SMALL}, [f"{before}base.epochs=3", f"{before}study.main.base.seeds=2"])
    settings = parse(name, changed[name]).studies[0].variants[0].settings
    assert (settings.epochs, settings.seeds) == (3, 2)


def test_an_override_of_an_option_reaches_the_studies_that_set_it():
    study = {"base": {"optimizer": "mod:f", "options": {"b1": 0.5}}, "grid": {"learning_rate": [0.1, 0.2]}}
    changed = overrides.apply({"mine": {"study": [study]}}, ["base.options.b1=.9"])
    assert {one.settings.options["b1"] for one in parse("mine", changed["mine"]).studies[0].variants} == {0.9}


def test_a_byte_order_mark_is_no_part_of_a_config(tmp_path):
    text = 'title = "한글"\n[[study]]\ngrid = {optimizer = ["sgd", "adam"]}\n'
    (tmp_path / "mine.toml").write_text(text, encoding="utf-8-sig")
    assert load(str(tmp_path / "mine.toml")) == ("mine", tomllib.loads(text))
    for encoding in ("utf-16", "cp949"):
        (tmp_path / "mine.toml").write_text(text, encoding=encoding)
        with pytest.raises(ConfigError, match=r"is not in UTF-8 .*; save the file in UTF-8"):
            load(str(tmp_path / "mine.toml"))


def test_a_config_made_in_python_may_hold_numpy_s_values_tuples_and_ranges():
    base = {"dataset": np.str_("moons"), "hidden": np.array([8, 8]), "epochs": np.int64(3), "remat": np.bool_(False)}
    grid = {"learning_rate": np.logspace(-2, 0, 3), "batch_size": (np.int32(8), 16), "micro_batches": range(1, 2)}
    given = {"target": np.float64(0.5), "base": base, "study": ({"grid": grid},)}
    written = {
        "target": 0.5,
        "base": {"dataset": "moons", "hidden": [8, 8], "epochs": 3, "remat": False},
        "study": [{"grid": {"learning_rate": [0.01, 0.1, 1.0], "batch_size": [8, 16], "micro_batches": [1]}}],
    }
    assert parse("mine", given) == parse("mine", written)
    assert repr(parse("mine", given)) == repr(parse("mine", written))
    with pytest.raises(ConfigError, match=r"hidden = 3\.5 is not a list"):
        parse("mine", {"base": {"hidden": np.float32(3.5)}, "study": [{}]})


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"epochs": 3, "study": [{}]}, "no key 'epochs'; epochs is a setting: it belongs in base"),
        ({"study": [{"dataset": "moons"}]}, "no key 'dataset'; dataset is a setting: it belongs in base"),
        ({"study": {"grid": {}}}, r"no \[\[study\]\], in double brackets"),
    ],
)
def test_a_key_in_the_wrong_place_is_sent_to_its_own(config, message):
    with pytest.raises(ConfigError, match=message):
        parse("mine", config)


def test_every_key_has_a_rule():
    assert all("kind" in key.metadata for key in KEYS.values())


def test_claims_are_read_with_their_factors_own_values():
    claims = [{"factor": "hidden", "better": [8, 8], "than": [8]}, {"factor": "batch_size", "better": 32, "than": 64}]
    grid = {"hidden": [[8], [8, 8]], "batch_size": [32, 64], "learning_rate": [0.1]}
    comparison = parse("x", config(grid, claims=claims))
    assert [claim.better for claim in comparison.studies[0].claims] == [(8, 8), 32]
    assert comparison.declared() == {("x", "main"): claims}


def test_roles_default_to_what_is_tuned_and_what_only_varies():
    grid = {"dataset": ["moons", "circles"], "learning_rate": [0.1, 1.0], "clip_norm": [1.0, 2.0]}
    roles = parse("x", config(grid)).studies[0].roles
    assert roles == {"dataset": "fixed", "learning_rate": "nuisance", "clip_norm": "scientific"}


def test_a_confirmation_trains_what_was_chosen_on_seeds_of_its_own():
    made = parse("x", config({"learning_rate": [0.1, 0.01]}, {"seeds": 3, "first_seed": 5}, confirm=4))
    second = confirming(made, [made.studies[0].variants[1].variant_id])
    (study,) = second.studies
    assert (study.name, study.confirms, study.confirm) == ("main_confirm", "main", 0)
    assert study.seeds == (8, 9, 10, 11)
    assert [variant.settings.learning_rate for variant in study.variants] == [0.01]
    assert study.variants[0].variant_id == made.studies[0].variants[1].variant_id + "-confirm"
    assert confirming(made, []) is None
    assert confirming(parse("x", config({})), ["x"]) is None


def test_a_confirmations_name_must_be_free():
    studies = [{"name": "main", "confirm": 5}, {"name": "main_confirm"}]
    with pytest.raises(ConfigError, match="needs the study name 'main_confirm'"):
        parse("x", {"study": studies})


def test_confirmation_is_reached_from_the_command_line():
    changed = overrides.apply({"x": config({})}, ["study.main.confirm=10"])
    assert parse("x", changed["x"]).studies[0].confirm == 10
    assert parse("x", quick(changed["x"])).studies[0].confirm == 2


@pytest.mark.parametrize("text", [".001", "+.001", "1.e-3", ".1e-2", " 1e-3"])
def test_numbers_as_python_writes_them_are_numbers_in_an_override(text):
    assert overrides.parse_assignment(f"base.learning_rate={text}")[1] == 0.001


def test_a_comma_for_a_decimal_point_is_named():
    with pytest.raises(ConfigError, match="learning_rate = '0,1' is not a number; write a point, not a comma"):
        parse("mine", {"base": {"learning_rate": "0,1"}, "study": [{}]})


LABELLED = {"study": [{"grid": {"optimizer": ["mine:opt", "sgd"], "learning_rate": [0.1, 0.2]}}]}


def test_labels_name_levels_and_change_no_variant():
    named, plain = (parse("x", {**LABELLED, "labels": labels}) for labels in ({"mine:opt": "Mine"}, {}))
    variants = [one.studies[0].variants for one in (named, plain)]
    assert [v.label for v in variants[0]] == [v.label.replace("mine:opt", "Mine") for v in variants[1]]
    assert variants[0][0].label == "Mine, rate 0.1"
    assert [v.variant_id for v in variants[0]] == [v.variant_id for v in variants[1]]
    assert {**resolved(named), "labels": {}} == {**resolved(plain), "labels": {}}
    assert parse("x", resolved(named)).labels == named.labels


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ({"mine:op": "Mine"}, "x: labels: no level 'mine:op'; did you mean mine:opt?"),
        ({"sgd": 3}, "x: labels.'sgd' = 3 is not a text"),
        ({"sgd": "two\nlines"}, "is not a name on one line"),
        ({"sgd": " "}, "is not a name on one line"),
        ({"sgd": "One", "mine:opt": "One"}, "= 'One' is the label of another level"),
        ({"mine:opt": "sgd"}, "labels.'mine:opt' = 'sgd' is another level of this comparison"),
        ("Mine", "x: labels = 'Mine' is not a table"),
    ],
)
def test_a_label_that_cannot_be_is_named(labels, message):
    with pytest.raises(ConfigError) as caught:
        parse("x", {**LABELLED, "labels": labels})
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("factor", "levels", "than"),
    [
        ("optimizer", ["lion", "sgd", "adamw"], ["sgd", "adamw"]),
        ("learning_rate", [0.3, 0.1, 0.2], [0.1, 0.2]),
        ("hidden", [[8], [16], [16, 8]], [[16], [16, 8]]),
    ],
)
def test_a_claim_against_many_is_a_claim_against_each(factor, levels, than):
    roles = {factor: "scientific"}
    one = {"name": "main", "grid": {factor: levels}, "roles": roles}
    better = levels[0]
    many = {**one, "claims": [{"factor": factor, "better": better, "than": than}]}
    each = {**one, "claims": [{"factor": factor, "better": better, "than": level} for level in than]}
    found = parse("x", {"study": [many]}).studies[0].claims
    assert len(found) == 2
    assert found == parse("x", {"study": [each]}).studies[0].claims


@pytest.mark.parametrize(
    ("than", "message"),
    [
        (["sgd", "adam_w"], "claims.1.than.optimizer = 'adam_w': no optimizer 'adam_w'; did you mean adamw?"),
        (["sgd", "lion"], "better = than = 'lion'"),
        (["sgd", "sgd"], "'than': 'sgd'} is repeated"),
        ([], "claims.1.than.optimizer = [] is not a name"),
    ],
)
def test_a_wrong_level_among_many_is_named(than, message):
    claim = {"factor": "optimizer", "better": "lion", "than": than}
    with pytest.raises(ConfigError) as caught:
        parse("x", {"study": [{"grid": {"optimizer": ["lion", "sgd", "adamw"]}, "claims": [claim]}]})
    assert message in str(caught.value)


def test_an_override_takes_away_one_level_of_a_claim_against_many():
    claim = {"factor": "optimizer", "better": "lion", "than": ["sgd", "adamw"]}
    one = {"study": [{"name": "main", "grid": {"optimizer": ["lion", "sgd", "adamw"]}, "claims": [claim]}]}
    changed = overrides.apply({"x": one}, ["study.main.grid.optimizer=['lion', 'adamw']"])["x"]
    assert changed["study"][0]["claims"] == [{**claim, "than": "adamw"}]


def test_claims_about_levels_that_an_override_takes_away_go_with_them():
    claims = [
        {"factor": "optimizer", "better": "momentum", "than": "sgd"},
        {"factor": "optimizer", "better": "adamw", "than": "sgd"},
        {"factor": "schedule", "better": "cosine", "than": "constant"},
    ]
    grid = {"optimizer": ["sgd", "momentum", "adamw"], "schedule": ["constant", "cosine"]}
    told = []
    one = {"study": [{"name": "main", "grid": grid, "claims": claims}]}
    changed = overrides.apply({"x": one}, ['study.main.grid.optimizer=["sgd","adamw"]'], told.append)
    assert changed["x"]["study"][0]["claims"] == claims[1:]
    assert told == [
        "x: study 'main': the claim optimizer: momentum better than sgd is left out, since --set changed its grid"
    ]
    assert len(parse("x", changed["x"]).studies[0].claims) == 2


def test_options_of_ones_own_optimizer_may_be_tuned():
    grid = {"optimizer": ["optax:nadam"], "options": {"b1": [0.8, 0.9]}}
    study = {"name": "main", "grid": grid, "roles": {"options.b1": "nuisance"}}
    assert parse("x", {"study": [study]}).studies[0].roles["options.b1"] == "nuisance"
    with pytest.raises(ConfigError, match=r"no key 'options\.b2'; did you mean options\.b1"):
        parse("x", {"study": [{**study, "roles": {"options.b2": "nuisance"}}]})


@pytest.mark.parametrize("name", ["../../etc", "a/b", "", " x"])
def test_a_study_is_called_by_a_word(name):
    with pytest.raises(ConfigError, match="is not a unique word"):
        parse("x", {"study": [{"name": name}]})


def test_a_resolved_config_gives_the_same_variants():
    from jaxcompare.execution.manifest import resolved

    for name in shipped():
        made = parse(name, load(name)[1])
        again = parse(name, resolved(made))
        assert [study.variants for study in again.studies] == [
            tuple(type(v)(v.variant_id, w.label, v.settings) for v, w in zip(s.variants, t.variants, strict=True))
            for s, t in zip(made.studies, again.studies, strict=True)
        ]
