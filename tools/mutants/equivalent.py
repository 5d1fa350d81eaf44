"""Faults that change nothing that a test could see, with the reason."""

_D = "hf_fourier/domains/"
_R = "hf_fourier/results/"
_S = "hf_fourier/scoring/"
_M = "hf_fourier/methods/"
_E = "hf_fourier/evaluation/"
_FFC = "return flat.mul_((length / torch.where(norms > 0, norms, 1)).unsqueeze(1)).view_as(gradient)"
#: By key of a fault (`python -m tools.mutants` prints it).
EQUIVALENT: dict[str, str] = {
    _D + "base.py | 0 to 1 | spec = layouts[0].domain": "the parts of all segments have the same domain",
    _D + 'compatibility.py | 4 to 5 | "tensor": (Axis("axis0", 4), Axis("axis1", 5)),': "a sample may have any size",
    _D + "cosine.py | LtE to Lt | short = self.signal.shape[d] <= SHORT": "both ways compute the same transform",
    _D + "filterbank.py | Sub to Add | inner = inner[..., : 2 * (self._plain - 1) + self._taps]": (
        "what is cut off there is zero, and zeros are added again"
    ),
    _M + "fetched.py | False to True | @dataclass(frozen=True, eq=False)": "no two are compared",
    f"{_M}ffc.py | 0 to 1 | {_FFC}": "the largest entry is 1, so that the norm is 0 or at least 1",
    _M + "response.py | Gt to GtE | signs = torch.where(noise > 0, 1.0, -1.0).to(part.values)": "no draw is exactly 0",
    _R + "contributions.py | False to True | @dataclass(frozen=True, eq=False)": "no two are compared",
    _R + "integrity.py | 28 to 29 | MOST_JSON = 2**28": "both bounds lie far above any file and below a full memory",
    _S
    + "heads/segmentation.py | Mult to Div | odds = margin * signs if margin.requires_grad else signs.mul_(margin)": (
        "the signs are 1 and -1, and where nothing counts the number is arbitrary"
    ),
    _S + "pending.py | True to False | return tensor.pin_memory().to(device, non_blocking=True)": (
        "the copy is waited for, with the same numbers"
    ),
    _S + "heads/detection.py | USub dropped | low, high = corners.amin(-2), corners.amax(-2) | 2": (
        "the boxes have rows and queries, so that it is the same dimension"
    ),
    _E + "studies/gene_shift_files.py | 1 to 2 | place = np.full(max(tokens) + 1, -1) | 2": (
        "no token without a gene is read"
    ),
    _E + "studies/perturb_genes.py | False to True | @dataclass(frozen=True, eq=False)": "no two are compared",
    _E + "studies/perturb_genes.py | Mult to Div | "
    "entries = len(cells[members[0]]) * int(self.wrapper.config.hidden_size)": "rows of a batch alone change",
    "hf_fourier/runs/encoding.py | 16 to 17 | KEPT, KEPT_TOKENS = 2**9, 2**16": "what is not kept is encoded again",
    "hf_fourier/runs/function_digest.py | and/or exchanged | if holder is not None and not isinstance(holder, "
    "(ModuleType, type)):": "a module and a class add their names, which are in the digest already",
}
