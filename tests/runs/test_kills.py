"""A run that is killed at any moment, twenty times, ends with the bytes of one that was not."""

import json
import os
import subprocess
import sys


def test_twenty_kills_and_the_same_bytes(root, tmp_path):
    command = [sys.executable, "-m", "tests.runs.killed_runs", str(tmp_path), "20", "0"]
    done = subprocess.run(
        command, cwd=root, capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"}, timeout=240
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    assert told["killed"] == 20
    assert told["shards"] > 30
