"""Run the code of the documents as a reader would: every `python` and `sh` block of a page, top to bottom.

    python3 docs/blocks.py docs/tutorial.md                      # from nothing: the page installs what it needs
    .venv/bin/python docs/blocks.py --env .venv docs  # all others, in an environment that is there

Each page runs in a copy of the project of its own. Its Python blocks share their names; its shell blocks stop at the
first line that fails. A block after a line `<!-- not run: REASON -->` is listed and left out. Only the standard library
is needed. With `--within S` the time that blocks take, those that install left out, must not exceed S seconds.
"""

# ruff: noqa: T201  (a command prints)

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BLOCK = re.compile(
    r"(?:^<!-- not run: (?P<reason>[^\n]*) -->\n+)?^```(?P<kind>python|sh)\n(?P<code>.*?)^```$", re.M | re.S
)
#: Folders of pages that are made from docstrings, cards and the pages themselves.
MADE = {"_build", "reference", "metrics"}
#: Runs blocks that come as lines of JSON, and answers each with one line.
READER = """
import json, sys, traceback
names, answers = {"__name__": "__main__"}, sys.stdout
sys.stdout = sys.stderr
for number, line in enumerate(sys.stdin, 1):
    try:
        exec(compile(json.loads(line), f"block {number}", "exec"), names)
    except BaseException:
        traceback.print_exc()
        print("failed", file=answers, flush=True)
    else:
        print("ok", file=answers, flush=True)
"""


@dataclass(frozen=True)
class Block:
    """One block of code: where it stands, what it is in, and why it is not run, if it is not."""

    line: int
    kind: str
    code: str
    reason: str | None


def blocks(text: str) -> list[Block]:
    """The blocks of a page that are code."""
    return [
        Block(text.count("\n", 0, m.start("code")), m["kind"], m["code"], m["reason"]) for m in BLOCK.finditer(text)
    ]


def pages(path: Path) -> list[Path]:
    """A page, or the pages of a folder that are not made by a program."""
    if not path.is_dir():
        return [path]
    return sorted(page for page in path.rglob("*.md") if not MADE & set(page.relative_to(path).parts))


def copied(folder: Path) -> Path:
    """The project as git would commit it now, in a folder of its own."""
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", "-z"], cwd=ROOT, capture_output=True, check=True, text=True
    )
    for name in filter(None, listed.stdout.split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    return folder


def run(page: Path, env: Path | None) -> tuple[float, float, bool]:
    """Run a page; returns the seconds that its blocks took, those that installed, and whether all succeeded."""
    spent, installed, reader = 0.0, 0.0, None
    with tempfile.TemporaryDirectory() as made:
        folder = copied(Path(made))
        if env is not None:
            (folder / ".venv").symlink_to(env.absolute(), target_is_directory=True)
        variables = {**os.environ, "PATH": f"{folder}/.venv/bin:{os.environ['PATH']}", "MPLBACKEND": "Agg"}
        variables |= {"HF_HUB_OFFLINE": "1", "PIP_QUIET": "1"}
        variables.setdefault("OMP_NUM_THREADS", "1")  # pages run side by side
        for block in blocks(page.read_text(encoding="utf-8")):
            where = f"{page}:{block.line}"
            if block.reason is not None:
                print(f"  not run  {where}: {block.reason}", flush=True)
                continue
            begin = time.perf_counter()
            if block.kind == "sh":
                done = subprocess.run(["bash", "-euo", "pipefail", "-c", block.code], cwd=folder, env=variables)
                good = done.returncode == 0
            else:
                if reader is None:
                    python = [str(folder / ".venv/bin/python"), "-c", READER]
                    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
                    reader = subprocess.Popen(python, cwd=folder, env=variables, text=True, **pipes)
                reader.stdin.write(json.dumps(block.code) + "\n")
                reader.stdin.flush()
                good = reader.stdout.readline() == "ok\n"
            took = time.perf_counter() - begin
            if "pip install" in block.code:
                installed += took
            else:
                spent += took
            print(f"  {took:6.1f} s  {'ok' if good else 'FAILED'}  {where}", flush=True)
            if not good:
                break
        if reader is not None:
            reader.stdin.close()
            reader.wait()
        return spent, installed, good if spent or installed else True


def main() -> int:
    """Run all pages; 1 if a block failed or they took too long."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pages", nargs="+", type=Path, help="pages, or folders of pages")
    parser.add_argument("--env", type=Path, help="the virtual environment to run in; without it a page makes its own")
    parser.add_argument("--within", type=float, help="seconds that a page may take, installation left out")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1, help="pages that run at one time")
    given = parser.parse_args()

    def runs(page: Path) -> bool:
        code = blocks(page.read_text(encoding="utf-8"))
        if not code or (given.env and any("-m venv" in block.code for block in code)):
            return True  # a page that makes an environment is run by itself
        spent, installed, good = run(page, given.env)
        print(f"{page}: {spent:.0f} s, and {installed:.0f} s to install", flush=True)
        return good and (given.within is None or spent <= given.within)

    chosen = [page for path in given.pages for page in pages(path)]
    with ThreadPoolExecutor(given.processes) as pool:
        failed = [page for page, good in zip(chosen, pool.map(runs, chosen), strict=True) if not good]
    for page in failed:
        print(f"failed: {page}", file=sys.stderr)
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
