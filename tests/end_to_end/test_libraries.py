"""Real models of timm, torchvision and torchaudio from the how-to alone to a saved report, and methods of libraries."""

import os
import subprocess
import sys

import pytest

HERE = "tests/end_to_end/with_libraries.py"
#: The laws of all methods, for the method that is registered where shap is installed; and what needs zennit.
CHOSEN = "with_libraries or rules_of_layers or (shap_gradients and not memory and not degenerate)"
LAWS = ["tests/contracts/test_methods.py", "tests/engine/test_without_float64.py", "-k", CHOSEN]


@pytest.mark.assets
def test_real_models_of_other_libraries(root, asset):
    """In a process of its own: an environment with torchvision changes what `transformers` imports."""
    folder = asset("libraries")
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", HERE, *LAWS]
    environment = {**os.environ, "HF_FOURIER_TEST_LIBRARIES": str(folder), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout[-6000:]
    assert " passed" in done.stdout
    assert "skipped" not in done.stdout
