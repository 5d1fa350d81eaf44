"""The leaderboard is made of the pages that hold the measurements."""

from pathlib import Path

from benchmarks import leaderboard
from benchmarks.tables import markdown


def test_the_page_holds_what_the_command_prints(root: Path) -> None:
    rows = leaderboard.rows(root / "docs/planted.md", root / "docs/default.md")
    assert markdown(rows) in (root / "docs/leaderboard.md").read_text()
    assert {"tracking", "magnitude", "ffc", "random"} <= {row["method"] for row in rows}
    assert [row["first"] for row in rows] == sorted((row["first"] for row in rows), reverse=True)


def test_numbers_are_read_by_their_titles(tmp_path: Path) -> None:
    planted, default = tmp_path / "planted.md", tmp_path / "default.md"
    planted.write_text(
        "| method | AUROC frequencies, decoys | first frequency |\n|---|---|---|\n"
        "| ffc | 0.250 [0.1, 0.3] | 0.000 [0.0, 0.0] |\n| saliency | 0.750 [0.1, 0.3] | 1.000 [1.0, 1.0] |\n\n"
        "| method | first model: own wave above the other's | first model: first |\n|---|---|---|\n"
        "| ffc | 0.750 [0.1, 0.3] | 0.500 [0.0, 0.0] |\n"
    )
    default.write_text(
        "| model | method | kept | kept, gap | wrong (random) | wrong (random), gap |\n|---|---|---|---|---|---|\n"
        "| fashion-vit | tracking | 0.9 [0, 1] | 0.1 [0, 1] | 0.2 [0, 1] | 0.1 [0, 1] |\n"
    )
    first, second = leaderboard.rows(planted, default)
    assert (first["method"], first["models"], first["first"]) == ("saliency", 1, 1.0)
    assert (second["AUROC decoys, mean"], second["least"], second["first"]) == (0.5, 0.25, 0.25)
    kept, wrong = leaderboard.kept_and_wrong(default)["magnitude"]["fashion-vit"]
    assert (kept, wrong) == ("0.80", "0.10")
