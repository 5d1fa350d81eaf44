"""Faults that change nothing that a test could see, with the reason."""

_D = "hf_fourier/domains/"
_M = "hf_fourier/methods/"
#: By key of a fault (`python -m tools.mutants` prints it).
EQUIVALENT: dict[str, str] = {
    _D + "base.py | 0 to 1 | spec = layouts[0].domain": "the parts of all segments have the same domain",
    _D + 'compatibility.py | 4 to 5 | "tensor": (Axis("axis0", 4), Axis("axis1", 5)),': "a sample may have any size",
    _D + "cosine.py | LtE to Lt | short = self.signal.shape[d] <= SHORT": "both ways compute the same transform",
    _D + "filterbank.py | Sub to Add | inner = inner[..., : 2 * (self._plain - 1) + self._taps]": (
        "what is cut off there is zero, and zeros are added again"
    ),
}
