import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from viceversa import methods
from viceversa.config import (
    Config,
    ConfigError,
    DataConfig,
    default_run,
    load_config,
    load_words,
    may_change,
    parse_yaml,
    presets,
    to_yaml,
    validate,
)
from viceversa.config.schema import Duration


def fails(*overrides: str, source: str | None = None) -> str:
    """Return the message with which a configuration is refused, checked to be one line."""
    with pytest.raises(ConfigError) as caught:
        methods.check(methods.resolve(load_config(source, overrides)))
    assert "\n" not in str(caught.value)
    return str(caught.value)


# --- where values come from


def test_later_sources_win(tmp_path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("train: {lr: 3.0e-4, batch: 2}\ngenerator: {blocks: 6}\n")
    assert load_config().generator == {"name": "resnet"}
    assert load_config("cyclegan").generator == {"name": "resnet", "width": 64, "blocks": 9}
    from_file = load_config(file)
    assert (from_file.train.lr, from_file.train.batch, from_file.data) == (3e-4, 2, DataConfig())
    overridden = load_config(file, ["train.batch=5", "generator.width=8"])
    assert (overridden.train.lr, overridden.train.batch) == (3e-4, 5)
    assert overridden.generator == {"name": "resnet", "blocks": 6, "width": 8}

    assert load_config(None, ["seed=1", "seed=2"]).seed == 2


def test_words_name_a_preset_a_file_a_run_or_nothing(tmp_path, monkeypatch) -> None:
    assert load_words([]) == load_config("style")
    assert load_words(["seed=3"]) == load_config("style", ["seed=3"])
    assert load_words(["pix2pix", "seed=3"]) == load_config("pix2pix", ["seed=3"])
    monkeypatch.chdir(tmp_path)
    for name in ("seed=4", "runs/seed=4", "run"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "config.yaml").write_text("seed: 5\n")
        assert load_words([name, "seed=6"]).seed == 6
        assert load_words([name]).seed == 5, "what exists is a path"
    assert load_words(["seed=3"]).seed == 3


def test_the_run_is_named_after_preset_and_data(tmp_path) -> None:
    assert load_words(["cyclegan", "data.root=x/horse2zebra/"]).run == "runs/cyclegan-horse2zebra"
    assert load_words(["data.a=x/photos", "data.b=drawings"]).run == "runs/style-photos-drawings"
    for address in ("https://host/sets/h2z.zip?download=1", "s3://bucket/h2z/", "hf://x/me/h2z.tar.gz"):
        assert load_words([f"data.root={address}"]).run == "runs/style-h2z"
    assert load_words(["data.root=x", "run=here"]).run == "here"
    assert default_run(Config(), "n").run == ""
    for name in ("photos", "drawings"):
        (tmp_path / f"train{name}").mkdir()
        (tmp_path / name).symlink_to(tmp_path / f"train{name}")
    words = [f"data.a={tmp_path / 'photos'}", f"data.b={tmp_path / 'drawings'}"]
    assert load_words(words).run == "runs/style-photos-drawings", "as the links are called"


def test_what_may_change_is_marked_on_the_key() -> None:
    assert all(map(may_change, ("run", "data.root", "train.length", "train.log_to")))
    assert not any(map(may_change, ("seed", "data.crop", "train.lr", "method.pool", "generator", "no.such.key")))


@pytest.mark.parametrize(
    "name", ["caf\udce9", "001", "no", "2024-01-31", "a: b", "[x", "1e3", "null", "C:\\data", "a#b #c", "'q'"]
)
def test_folders_are_text_whatever_yaml_thinks(name: str) -> None:
    config = load_config(None, [f"run={name}", f"data.root={name}"])
    assert (config.run, config.data.root) == (name, name)


def test_an_empty_override_is_null_or_the_default() -> None:
    config = load_config(None, ["data.root=x", "data.root=", "run=x", "run=", "train.device="])
    assert (config.data.root, config.run, config.train.device) == (None, "", "auto")


# --- components


@pytest.mark.parametrize(
    ("words", "generator"),
    [
        (["generator=unet"], {"name": "unet"}),
        (["generator.name=unet"], {"name": "unet"}),
        (["generator=unet", "generator.width=8"], {"name": "unet", "width": 8}),
        (["generator.width=8", "generator=unet"], {"name": "unet", "width": 8}),
        (["generator=resnet"], {"name": "resnet", "width": 64, "blocks": 9}),
    ],
)
def test_naming_another_component_drops_the_old_options(words: list[str], generator: dict) -> None:
    assert load_config("cyclegan", words).generator == generator


# --- YAML 1.2


def test_yaml_is_1_2() -> None:
    tree = parse_yaml("a: 1e-4\nb: no\nc: on\nd: 0o17\ne: 12:30:45\ng: true\n", "x")
    assert tree == {"a": 1e-4, "b": "no", "c": "on", "d": 15, "e": "12:30:45", "g": True}
    assert load_config(None, ["train.lr=1e-4"]).train.lr == 1e-4


@pytest.mark.parametrize(
    "text", ["a: [", "a: 1\na: 2", "- 1", "3", "!!int x", "a: !!python/object:os.x {}", "\t- \x01"]
)
def test_what_is_not_a_yaml_mapping_is_refused_by_name(text: str, tmp_path) -> None:
    (tmp_path / "my.yaml").write_text(text)
    assert "my.yaml" in fails(source=str(tmp_path / "my.yaml"))
    with pytest.raises(ConfigError, match=r"mine, line 3: not valid YAML"):
        parse_yaml("a: 1\nb: [\n", "mine")


# --- durations


@pytest.mark.parametrize(
    ("text", "amount", "unit"),
    [("1 epoch", 1, "epochs"), ("200 epochs", 200, "epochs"), ("5000 steps", 5000, "steps"), (" 1step ", 1, "steps")],
)
def test_durations(text: str, amount: int, unit: str) -> None:
    assert Duration.parse(text) == Duration(amount, unit)
    assert Duration.parse(str(Duration.parse(text))) == Duration.parse(text)
    assert Duration.parse(text).steps(70) == amount * (70 if unit == "epochs" else 1)


@pytest.mark.parametrize("text", ["", "5", "five steps", "-1 steps", "1.5 epochs", "1 epoch 2 steps", "٣ steps"])
def test_nonsense_durations(text: str) -> None:
    with pytest.raises(ValueError, match="200 epochs"):
        Duration.parse(text)


# --- mistakes


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("train.bath=1", "train.bath: no such key; did you mean batch?"),
        ("generator.bloks=6", "generator.bloks: resnet has no such option; did you mean blocks?"),
        ("generator=resent", "generator.name: there is no generator 'resent'; did you mean resnet?"),
        ("train.batch=0", "train.batch: should be greater than or equal to 1, not 0"),
        ("train.batch=two", "train.batch: should be a valid integer, not 'two'"),
        ("train.lr=.nan", "train.lr: should be a finite number, not nan"),
        ("train.optimizer=adm", "train.optimizer: should be 'adam', 'sgd' or 'ngd', not 'adm'"),
        ("generator=5", "generator: a name, or a section of options, not 5"),
        ("generator.name=", "generator.name: should be a name, not None"),
        ("generator.blocks=many", "generator.blocks: should be a valid integer, not 'many'"),
        ("train.betas=[0.5,1.5]", "train.betas.1: should be less than 1, not 1.5"),
        ("train.save_every=0steps", 'train.save_every: must be at least "1 step"'),
        ("crop", "crop: expected key=value"),
        ("train..lr=3", "train..lr=3: expected key=value"),
        ("train.length=3weeks", "train.length: '3weeks' is not a duration"),
        ("data.a=photos", "data.a and data.b go together"),
        ("data.load=100 data.crop=128", "data.crop=128 is larger than data.load=100"),
        ("data.root=x data.a=y data.b=z", "data.root and data.a/data.b exclude each other"),
        ("train.length=9steps train.decay=10steps", 'train.decay="10 steps" is longer than'),
        ("generator=unet data.load=110 data.crop=100", "data.crop=100: the unet generator"),
        ("data.channels_a=1 method.identity=0.5", "method.identity: "),
        ("generator.mask=true data.channels_a=1 method.identity=0", "generator: mask=true"),
    ],
)
def test_a_mistake_is_one_line_that_names_the_key(words: str, message: str) -> None:
    assert fails(*words.split()).startswith(message)


def test_a_mistaken_source_is_named(tmp_path) -> None:
    assert fails(source="cyclgan").startswith("cyclgan: neither a preset nor a YAML file; did you mean cyclegan?")
    assert f"data.root={tmp_path}" in fails(source=str(tmp_path))
    (tmp_path / "latin.yaml").write_bytes(b"run: \xe4\n")
    assert "latin.yaml: cannot be read" in fails(source=str(tmp_path / "latin.yaml"))
    assert len(fails("train.batch=" + "9" * 9999)) < 200, "a long value is cut"


def test_a_method_of_pairs_refuses_unpaired_data() -> None:
    with pytest.raises(ConfigError, match=r"^method=pix2pix learns from pairs and this data is unpaired"):
        methods.check_pairs(load_config("pix2pix"), paired=False)
    methods.check_pairs(load_config("pix2pix"), paired=True)
    methods.check_pairs(load_config("cyclegan"), paired=False)


# --- writing


@pytest.mark.parametrize("name", presets())
def test_the_written_configuration_is_whole_commented_and_equal(name: str, tmp_path) -> None:
    config = methods.resolve(load_config(name, ["data.root=x", "run=2024-01-31", 'train.log_every="1 epoch"']))
    (tmp_path / "config.yaml").write_text(to_yaml(config, methods.describe(config)), "utf-8")
    again = load_config(tmp_path / "config.yaml")
    assert again == config
    assert methods.resolve(again) == config
    lines = (tmp_path / "config.yaml").read_text("utf-8").splitlines()
    for above, line in zip(["", *lines], lines, strict=False):
        if re.match(r" *\w+:", line) and not line.startswith("  name:"):
            assert above.lstrip().startswith("# "), f"no comment above {line}"


@given(st.text(min_size=1))
@example("caf\udce9")
@example("1e-4")
@example("no")
@example(" # not a comment")
@example("a\x85b\u2028c\ufeff")
@example("\x85")
def test_any_text_survives_writing(text: str) -> None:
    config = validate({"run": text, "data": {"root": text}})
    assert validate(parse_yaml(to_yaml(config), "x")) == config
