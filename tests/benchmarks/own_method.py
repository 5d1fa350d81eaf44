"""A file with a method of one's own, for tests of what loads it."""


def source_of(name: str) -> str:
    """The text of a module that registers a method of this name, which ranks by magnitude."""
    return f'''
from dataclasses import dataclass
from hf_fourier.methods.base import METHODS, Method, Ranking

@METHODS.register("{name}")
@dataclass(frozen=True)
class Own(Method):
    "Ranks by magnitude."
    passes = (1, 0)

    def attribute(self, score, x, basis, rng):
        return Ranking(basis.magnitude(basis.forward(x)))
'''
