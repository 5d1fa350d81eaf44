"""The package as others get it: light to import, honest about what it needs, free of the machine it was made on."""

import ast
import importlib.metadata
import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

# Where a module is not named like the package that brings it, and that package may not be installed here.
PACKAGES = {"pytorch_grad_cam": "grad-cam", "PIL": "pillow", "google": "protobuf", "pywt": "pywavelets"}


@pytest.fixture(scope="module")
def project(root):
    return tomllib.loads((root / "pyproject.toml").read_text())["project"]


def normalise(requirement: str) -> str:
    return re.match(r"[\w.-]+", requirement)[0].lower().replace("_", "-").replace(".", "-")


def run_python(code: str) -> subprocess.CompletedProcess:
    """Run code in a fresh interpreter, where no shape checks are installed."""
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env={**os.environ, "PYTHONPATH": ""}
    )


def third_party_imports(root: Path) -> dict[str, list[str]]:
    """Each package that the library imports, at any depth, with the files that do."""
    installed = importlib.metadata.packages_distributions()
    found: dict[str, list[str]] = {}
    for file in sorted((root / "hf_fourier").rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Import):
                modules = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and not node.level:
                modules = [node.module]
            else:
                continue
            for module in {name.split(".")[0] for name in modules} - sys.stdlib_module_names - {"hf_fourier"}:
                package = PACKAGES.get(module) or installed.get(module, [module])[0]
                found.setdefault(normalise(package), []).append(str(file.relative_to(root)))
    return found


def test_every_import_is_declared(root, project):
    extras = [lines for name, lines in project["optional-dependencies"].items() if name != "dev"]
    declared = {normalise(line) for group in [project["dependencies"], *extras] for line in group}
    declared.add("jaxtyping")  # shape annotations have a stand-in where it is missing
    undeclared = {package: files for package, files in third_party_imports(root).items() if package not in declared}
    assert not undeclared


def test_constraints_pin_every_dependency_within_its_range(root, project):
    specifiers = pytest.importorskip("packaging.requirements")
    lines = (root / ".ci/constraints.txt").read_text().splitlines()
    pins = {normalise(line): line.split("==")[1] for line in lines if line and not line.startswith("#")}
    for group in [project["dependencies"], *project["optional-dependencies"].values()]:
        for requirement in map(specifiers.Requirement, group):
            if (name := normalise(requirement.name)) != "hf-fourier":
                assert pins[name] in requirement.specifier, name


def test_version_is_the_same_everywhere(root, project):
    import hf_fourier

    released = re.search(r"^## (\S+)", (root / "CHANGELOG.md").read_text(), re.M)[1]
    assert hf_fourier.__version__ == project["version"] == released


def test_import_is_light():
    code = """
import json, sys, time
start = time.perf_counter()
import torch
middle = time.perf_counter()
import hf_fourier
end = time.perf_counter()
print(json.dumps([end - middle, sorted({name.partition(".")[0] for name in sys.modules})]))
"""
    runs = [json.loads(run_python(code).stdout) for _ in range(4)]
    assert min(seconds for seconds, _ in runs) < 0.3
    assert not {"transformers", "matplotlib", "datasets", "evaluate", "accelerate", "rich", "typer"} & set(runs[0][1])


def test_the_explainer_leaves_scipy_alone_until_it_is_needed():
    code = "import sys; from hf_fourier import Attribution, FourierExplainer; print(*{'scipy.fft'} & set(sys.modules))"
    assert run_python(code).stdout.split() == []


def without_extras(project, code: str) -> subprocess.CompletedProcess:
    """Run code as if none of the extras were installed."""
    wanted = {normalise(line) for group in project["optional-dependencies"].values() for line in group}
    core = {normalise(line) for line in project["dependencies"]}
    modules = importlib.metadata.packages_distributions().items()
    missing = sorted(
        module for module, names in modules if {normalise(n) for n in names} & (wanted - core - {"hf-fourier"})
    )
    return run_python(f"import sys\nsys.modules.update(dict.fromkeys({missing}))\n{code}")


def test_core_works_without_extras(project):
    code = """
import torch
from hf_fourier import Attribution, FourierExplainer, attribute
weight = torch.randn(16, 3, generator=torch.Generator().manual_seed(0))
results = attribute(lambda x: x.flatten(1) @ weight, torch.ones(2, 1, 16).cumsum(-1))
assert len(results) == 2 and isinstance(results[0], Attribution)
"""
    done = without_extras(project, code)
    assert done.returncode == 0, done.stderr


def test_command_without_its_extra_says_what_to_install(project):
    done = without_extras(project, "from hf_fourier.cli import main\nsys.argv = ['hf-fourier', 'demo']\nmain()")
    assert done.returncode != 0
    assert "pip install" in done.stderr
    assert "hf_fourier[" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def tracked(root: Path) -> list[Path]:
    if not (root / ".git").exists():
        pytest.skip("not a git checkout: nothing says which files are the project's")
    command = ["git", "-c", "safe.directory=*", "ls-files", "-z"]
    names = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True).stdout.split("\0")
    return [root / name for name in names if name and (root / name).is_file()]


def test_no_machine_in_tracked_files(root):
    folders = "|".join(["home", "root", "Users", "work", "opt", "mnt", "srv", "scratch"])
    hosts = "|".join([r"pypi\.", "pythonhosted", r"registry\.npmjs", r"deb\.debian", r"download\.pytorch", r"conda\."])
    machine = re.compile(rf"(?<![\w.~/)\]}}-])/(?:{folders})/\w|https?://\S*(?:{hosts})")
    found = []
    for file in tracked(root):
        try:
            lines = file.read_text().splitlines()
        except UnicodeDecodeError:
            continue
        found += [
            f"{file.relative_to(root)}:{i}: {line[:120]}" for i, line in enumerate(lines, 1) if machine.search(line)
        ]
    assert not found
