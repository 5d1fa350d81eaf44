"""Which modules a model is stacked of, and which names a pattern means."""

import pytest
from torch.nn import Linear, Module, ModuleDict, ModuleList, ReLU, Sequential

from hf_fourier.scoring.layer_gradients import matches, matching, repeated


class Block(Module):
    def __init__(self):
        super().__init__()
        self.dense = Linear(2, 2)


class Parts(Module):
    """A module with these children."""

    def __init__(self, **parts):
        super().__init__()
        for name, part in parts.items():
            setattr(self, name, part)


class Stage(Parts):
    """Another class of module with children."""


@pytest.mark.parametrize(
    ("model", "names"),
    [
        (Parts(embed=Linear(2, 2), layers=ModuleList([Block(), Block()]), head=Block()), ["layers.0", "layers.1"]),
        (Parts(tower=Parts(layers=ModuleList([Linear(2, 2)])), out=Linear(2, 2)), ["tower.layers.0"]),
        (Parts(layers=ModuleList([ModuleList([Block()]), Block()])), ["layers.0.0", "layers.1"]),
        (Parts(named=ModuleDict({"a": Block(), "b": Block()})), ["named.a", "named.b"]),
        (Sequential(Block(), Block(), Linear(2, 2)), ["0", "1", "2"]),
        (Parts(body=Sequential(Linear(2, 2), ReLU(), Linear(2, 2))), ["body.0", "body.1", "body.2"]),
        # Neighbours of one class in one module.
        (Parts(one=Block(), two=Block(), out=Linear(2, 2)), ["one", "two"]),
        (Parts(body=Parts(one=Block(), two=Block()), out=Linear(2, 2)), ["body.one", "body.two"]),
        # Stages that hold lists are no blocks, their members are.
        (
            Parts(encoder=Stage(layers=ModuleList([Block()])), decoder=Stage(layers=ModuleList([Block()]))),
            ["encoder.layers.0", "decoder.layers.0"],
        ),
        # Neighbours that are sequences are gone into.
        (
            Parts(one=Sequential(Block(), Block()), two=Sequential(Block(), Block())),
            ["one.0", "one.1", "two.0", "two.1"],
        ),
        # Nothing comes again: the model's own children, below a lone one.
        (Parts(one=Block(), two=Linear(2, 2)), ["one", "two"]),
        (Parts(inner=Parts(one=Block(), two=Linear(2, 2)), act=ReLU()), ["inner.one", "inner.two"]),
    ],
    ids=[
        "list", "below", "lists in a list", "dict", "sequence of blocks", "sequence of layers", "neighbours",
        "neighbours below", "stages", "sequences", "children", "a lone child",
    ],
)  # fmt: skip
def test_blocks(model, names):
    found = repeated(model)
    assert list(found) == names
    assert all(found[name] is model.get_submodule(name) for name in names)


@pytest.mark.parametrize(
    ("name", "patterns", "yes"),
    [
        ("a.b.c", ["c"], True),
        ("a.b.c", ["b.c"], True),
        ("a.b.c", ["a.b.c"], True),
        ("a.b.c", ["b"], False),
        ("a.b.c", ["x.a.b.c"], False),
        ("a.b.c", ["a.*.c"], True),
        ("a.b.c", ["a.*"], False),
        ("a.b.layer12", ["layer*"], True),
        ("a.b.c", ["d", "c"], True),
        ("a.b.C", ["c"], False),
        ("a.b.c", [], False),
    ],
)
def test_patterns(name, patterns, yes):
    assert matches(name, patterns) == yes


def test_modules_by_a_pattern():
    model = Parts(layers=ModuleList([Block(), Block()]), dense=Linear(2, 2))
    assert list(matching(model, ["dense"])) == ["layers.0.dense", "layers.1.dense", "dense"]
    assert list(matching(model, ["layers.*"])) == ["layers.0", "layers.1"]
