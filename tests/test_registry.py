import sys
import textwrap
from pathlib import Path

import pytest
import torch

from viceversa import methods, registry
from viceversa.config import ConfigError, load_config, parse_yaml, to_yaml, validate
from viceversa.nets import GENERATORS

COMPONENTS = [(section, name) for section, table in methods.TABLES.items() for name in table]
MINE = '''
    from torch import Tensor, nn

    from viceversa.nets.base import Generator

    SMALL = 3


    class MyGenerator(Generator):
        """One convolution.

        Args:
            kernels: Sides of the kernels, which is said
                in two lines.
            gain: A factor.
        """

        def __init__(
            self, inputs: int, outputs: int, *, kernels: tuple[int, ...] = (3, 5), gain: float = 1.0, size: int
        ) -> None:
            super().__init__()
            self.given = (kernels, gain, size)
            sides = [inputs] * len(kernels) + [outputs]
            self.layers = nn.Sequential(
                *(nn.Conv2d(a, b, k, padding=k // 2) for a, b, k in zip(sides, sides[1:], kernels))
            )

        def forward(self, x: Tensor) -> Tensor:
            return self.layers(x).tanh()


    class Needy(MyGenerator):
        def __init__(self, in_channels: int, out_channels: int, *, needed: int) -> None:
            super().__init__(in_channels, out_channels, size=1)
'''


@pytest.fixture
def my_lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / "my_lab.py").write_text(textwrap.dedent(MINE))
    (tmp_path / "broken_lab.py").write_text("import there_is_no_such_thing\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    yield "my_lab"
    for name in ("my_lab", "broken_lab"):
        sys.modules.pop(name, None)


def test_a_generator_of_somebody_else_takes_one_file_and_one_line(my_lab: str) -> None:
    words = ["generator.name=my_lab:MyGenerator", "generator.kernels=[1, 3, 5]", "data.load=40", "data.crop=40"]
    config = methods.resolve(load_config("cyclegan", words))
    assert config.generator == {"name": "my_lab:MyGenerator", "kernels": (1, 3, 5), "gain": 1.0}
    method = methods.build(config)
    for net in method.translators().values():
        assert type(net).__name__ == "MyGenerator"
        assert net.given == ((1, 3, 5), 1.0, 40), "options, and the size that the code hands in"
        assert net(torch.zeros(1, 3, 8, 8)).shape == (1, 3, 8, 8)
    text = to_yaml(config, methods.describe(config))
    assert "  # Sides of the kernels, which is said in two lines.\n  kernels:\n" in text
    assert methods.resolve(validate(parse_yaml(text, "x"))) == config


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"name": "my_lab:Nobody"}, "generator.name=my_lab:Nobody: cannot be imported"),
        ({"name": "no_lab:X"}, "generator.name=no_lab:X: cannot be imported (No module named 'no_lab')"),
        ({"name": "broken_lab:X"}, "generator.name=broken_lab:X: cannot be imported (No module named 'there_is_no"),
        ({"name": "my_lab:SMALL"}, "generator.name=my_lab:SMALL: must be a subclass of viceversa.nets.base.Generator"),
        ({"name": "pathlib:Path"}, "generator.name=pathlib:Path: must be a subclass of"),
        ({"name": "..x:Y"}, "generator.name=..x:Y: cannot be imported"),
        ({"name": "my_lab:MyGenerator", "size": 3}, "generator.size: my_lab:MyGenerator has no such option"),
        ({"name": "my_lab:MyGenerator", "kernels": ["x"]}, "generator.kernels.0: should be a valid integer, not 'x'"),
        ({"name": "my_lab:MyGenerator", "gain": "loud"}, "generator.gain: should be a valid number, not 'loud'"),
        ({"name": "my_lab:Needy"}, "generator.needed: missing, it has no default"),
        ({}, "generator.name: missing"),
    ],
)
def test_mistakes_name_the_key(my_lab: str, spec: dict, message: str) -> None:
    typed = [f"generator.{key}={value}" for key, value in spec.items()]
    with pytest.raises(ConfigError) as caught:
        registry.complete(GENERATORS, "generator", load_config("cyclegan", typed).generator if spec else spec)
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize(("section", "name"), COMPONENTS)
def test_names_and_options_are_described_and_read_from_the_source_as_they_are(section: str, name: str) -> None:
    cls = methods.TABLES[section][name]
    described, whole = registry.descriptions(cls), registry.complete(methods.TABLES[section], section, {"name": name})
    assert set(described) == set(registry.options(cls)), "the Args of the docstring and the options of the constructor"
    assert all(len(text) > 10 and text.endswith(".") for text in described.values())
    assert list(whole) == ["name", *registry.options(cls)]
    registry.refuse_misspelt(section, whole)
    with pytest.raises(ConfigError, match=rf"{section}\.x: {name} has no such option"):
        registry.refuse_misspelt(section, {"name": name, "x": 1})
    with pytest.raises(ConfigError, match=rf"{section}\.name: there is no"):
        registry.refuse_misspelt(section, {"name": f"{name}x"})
    registry.refuse_misspelt(section, {"name": "my_lab:Mine", "x": 1})
