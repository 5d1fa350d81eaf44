"""The layers of the package, and every import that breaks them: `python -m tools.layers` prints both.

Every import counts, those inside functions and under `TYPE_CHECKING` too. An import may only point to a lower layer;
packages of one layer do not import each other, and no modules import each other in a circle.
"""

from __future__ import annotations

import ast
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path

PACKAGE = "hf_fourier"
#: From the top down: packages and loose modules, and what a newcomer finds there.
LAYERS: tuple[tuple[tuple[str, ...], str], ...] = (
    (("cli",), "the command line"),
    (("report", "explainer", "demo"), "figures, pages, the Hub | FourierExplainer | models and data of the demo"),
    (
        ("evaluation", "runs", "functional"),
        "metrics, checks, studies | data sets, recordings | any callable",
    ),
    (("engine",), "one model that encodes, explains, perturbs, predicts"),
    (("methods", "models"), "FFC and the others | Hugging Face models of every modality, and any network"),
    (("scoring",), "a model as one number per example, its gradient, its batches"),
    (("results",), "Attribution, Curve, and what can be made of them without a model"),
    (("domains",), "Fourier, cosine, wavelets, STFT, identity"),
    (("registry", "seeding"), "names, random streams"),
    (("torch_state",), "torch's ambient state, bytes of tensors"),
    (("errors", "typing"), ""),
)
#: What may be imported by whom alone.
ONLY: Mapping[str, tuple[str, ...]] = {"demo": ("cli", "demo")}
#: Libraries and the parts that may import them.
LIBRARIES: Mapping[str, tuple[str, ...]] = {
    "matplotlib": ("report.figures", "report.html"),
    "huggingface_hub": ("report.hub", "models", "demo"),
    "captum": ("methods.captum",),
    "pytorch_grad_cam": ("methods.gradcam",),
    "shap": ("methods.shap_gradients",),
    "zennit": ("methods.zennit",),
    "typer": ("cli",),
    "rich": ("cli", "runs.progress"),
    "jinja2": ("report.html", "report.hub"),
}


def modules(root: Path) -> dict[str, Path]:
    """Every module of the package by its name without the package's ("models.text"; "" is the package itself)."""
    found = {}
    for path in sorted((root / PACKAGE).rglob("*.py")):
        parts = path.relative_to(root / PACKAGE).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imported(module: str, path: Path) -> Iterator[tuple[int, str]]:
    """The line and the dotted name of everything that a module imports."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                here = [PACKAGE, *filter(None, module.split("."))]
                here = here[: len(here) - node.level + (path.name == "__init__.py")]
                base = ".".join([*here, *filter(None, [node.module])])
            yield from ((node.lineno, f"{base}.{alias.name}") for alias in node.names)


def graph(root: Path) -> dict[str, dict[str, int]]:
    """By module: the modules of the package that it imports, with the first line that does."""
    known = modules(root)
    edges: dict[str, dict[str, int]] = defaultdict(dict)
    for module, path in known.items():
        for line, name in imported(module, path):
            if name != PACKAGE and not name.startswith(f"{PACKAGE}."):
                continue
            target = name[len(PACKAGE) + 1 :]
            target = target if target in known else target.rpartition(".")[0]
            if target != module:
                edges[module].setdefault(target, line)
    return edges


def upward(root: Path) -> list[str]:
    """The imports that point upwards or sideways, or to what only others may import."""
    floors = {name: i for i, (names, _) in enumerate(LAYERS) for name in names}
    found = []
    for module, targets in graph(root).items():
        above = module.partition(".")[0]
        if above in ("", "__main__"):  # the face
            continue
        for target, line in targets.items():
            below = target.partition(".")[0]
            if above == below or (floors[above] < floors.get(below, -1) and above in ONLY.get(below, (above,))):
                continue
            found.append(f"{module}:{line} imports {target or PACKAGE}")
    return sorted(found)


def circles(root: Path) -> list[list[str]]:
    """The groups of modules that import each other (strongly connected components of more than one)."""
    edges, known = graph(root), modules(root)
    reached: dict[str, set[str]] = {}
    for start in known:
        seen: set[str] = set()
        ahead = [start]
        while ahead:
            for target in edges[ahead.pop()]:
                if target and target not in seen:
                    seen.add(target)
                    ahead.append(target)
        reached[start] = seen
    groups = {tuple(sorted(b for b in known if b in reached[a] and a in reached[b])) for a in known if a in reached[a]}
    return [list(group) for group in sorted(groups)]


def libraries(root: Path) -> list[str]:
    """Imports of libraries outside the parts that may import them."""
    found = []
    for module, path in modules(root).items():
        for line, name in imported(module, path):
            parts = LIBRARIES.get(name.partition(".")[0])
            if parts and not any(module == part or module.startswith(f"{part}.") for part in parts):
                found.append(f"{module}:{line} imports {name}")
    return found


def picture() -> str:
    """The layers as text, from the top down."""
    rows = [(" | ".join(names), what) for names, what in LAYERS]
    width = max(len(names) for names, _ in rows)
    return "\n".join(f"{names:{width}}  {what}".rstrip() for names, what in rows)


def main() -> int:
    """Print the picture and everything that breaks it."""
    root = Path(__file__).parents[1]
    sys.stdout.write(picture() + "\n")
    broken = [*upward(root), *(" ⇄ ".join(circle) for circle in circles(root)), *libraries(root)]
    sys.stdout.writelines(f"{line}\n" for line in broken)
    return bool(broken)


if __name__ == "__main__":
    sys.exit(main())
