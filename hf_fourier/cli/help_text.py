"""What `--help` shows beside the options: groups of commands, examples, and exit codes."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import typer

EXIT_CODES = "Exit codes: 0 success, 1 failure, 2 usage error."
#: The headings of `hf-fourier --help`, with the commands under each.
GROUPS: dict[str, tuple[str, ...]] = {
    "Explain": ("explain", "bands", "spectrum", "explain-dataset", "genes", "mutations", "demo"),
    "Evaluate": ("evaluate", "sanity-check"),
    "Share": ("report", "push"),
    "Look up": ("methods", "domains", "models", "docs", "assets"),
}
#: Examples of each command; a test runs or parses each of them.
EXAMPLES: dict[str, tuple[str, ...]] = {
    "explain": (
        "hf-fourier explain google/vit-base-patch16-224 cat.jpg --output explained",
        "hf-fourier explain distilbert/distilbert-base-uncased-finetuned-sst-2-english 'a fine film' --target POSITIVE",
        "hf-fourier explain google/vit-base-patch16-224 cat.jpg --method closed_loop --domain wavelet:haar --json",
    ),
    "bands": (
        "hf-fourier bands google/vit-base-patch16-224 cat.jpg",
        "hf-fourier bands google/vit-base-patch16-224 cat.jpg --bands 0-8,8-32 --method occlusion:mode=both --json",
    ),
    "spectrum": ("hf-fourier spectrum google/vit-base-patch16-224 pictures --output spectrum --by folder",),
    "explain-dataset": (
        "hf-fourier explain-dataset google/vit-base-patch16-224 pictures --output explained --plan",
        "hf-fourier explain-dataset google/vit-base-patch16-224 pictures --output explained --fraction .01,.04",
        "hf-fourier explain-dataset MODEL_FOLDER cells.h5ad --store genes --gene-scores sequential_contributions "
        "--output explained",
    ),
    "genes": (
        "hf-fourier genes MODEL_FOLDER cells.h5ad --dictionaries ctheodoris/Geneformer --groupby cell_type "
        "--output genes",
        "hf-fourier genes MODEL_FOLDER cells.h5ad --by sequential_contributions --output genes",
        "hf-fourier genes MODEL_FOLDER cells.h5ad --perturb delete --gene CD3D --gene CD3D+CD3E --output perturbed",
    ),
    "mutations": (
        "hf-fourier mutations facebook/esm2_t6_8M_UR50D EVQLVESGGGLVQPGG --output mutations --places 3-5,9",
        "hf-fourier mutations zhihan1996/DNA_bert_6 promoters.fasta --output mutations --target 1 --motifs",
    ),
    "evaluate": (
        "hf-fourier evaluate google/vit-base-patch16-224 cat.jpg dog.jpg --method ffc --method closed_loop",
        "hf-fourier evaluate google/vit-base-patch16-224 cat.jpg dog.jpg --metric selectivity --output table.csv",
    ),
    "sanity-check": ("hf-fourier sanity-check google/vit-base-patch16-224 cat.jpg dog.jpg --method ffc",),
    "report": (
        "hf-fourier report explained --output report",
        "hf-fourier report explained --output report-here --include-inputs --title 'Cats'",
    ),
    "push": (
        "hf-fourier push report ada/cups --dry-run",
        "hf-fourier push report ada/cups",
        "hf-fourier push report ada/cups-page --space --public",
        "hf-fourier push report --model-card google/vit-base-patch16-224 --dataset 'ImageNet, 50 pictures'",
    ),
    "methods": ("hf-fourier methods", "hf-fourier methods --json"),
    "domains": ("hf-fourier domains", "hf-fourier domains --json"),
    "models": ("hf-fourier models", "hf-fourier models bert --json"),
    "docs": (
        "hf-fourier docs",
        "hf-fourier docs genes",
        "hf-fourier docs howto/my-network#one-call",
        "hf-fourier docs --search dither",
    ),
    "demo": ("hf-fourier demo", "hf-fourier demo sound --output heard"),
    "assets list": ("hf-fourier assets list", "hf-fourier assets list --json"),
    "assets get": ("hf-fourier assets get efficientnet-lite0",),
}


def add_help(app: typer.Typer) -> None:
    """Put every command under its heading and give it its examples; show one example per heading and the exit codes."""
    heading = {name: title for title, names in GROUPS.items() for name in names}
    examples = [EXAMPLES[names[0]][0] for names in GROUPS.values()]
    more = "`hf-fourier COMMAND --help` shows more examples. `hf-fourier docs glossary` explains the terms."
    app.info.epilog = "\n\n".join(["For example:", *examples, more, EXIT_CODES])
    for name, command in commands(app).items():
        command.epilog = "\n\n".join(["For example:", *EXAMPLES[name]])
        command.rich_help_panel = heading.get(name)
    for group in app.registered_groups:
        group.rich_help_panel = heading[str(group.name)]


def commands(app: typer.Typer) -> dict[str, typer.models.CommandInfo]:
    """All commands by name, including those of groups (`assets get`)."""
    by_name = {}
    for command in app.registered_commands:
        assert command.callback is not None
        by_name[command.name or command.callback.__name__.replace("_", "-")] = command
    for group in app.registered_groups:
        assert group.typer_instance is not None
        by_name |= {f"{group.name} {name}": one for name, one in commands(group.typer_instance).items()}
    return by_name
