"""`hf-fourier push`: from a report's folder to the Hub."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hf_fourier.cli.console import print_json, print_line, progress, result_console, table
from hf_fourier.cli.options import PushRequest
from hf_fourier.errors import InputError

if TYPE_CHECKING:
    from hf_fourier.report.report import Report


def send(parcel: PushRequest) -> None:
    """Push, propose, or say what would be pushed.

    Raises:
        FourierError: If something that was typed cannot be done, or the Hub does not take it.
    """
    from hf_fourier.report.report import Report

    if parcel.repo is None and parcel.model_card is None:
        raise InputError("no repository", "USER/NAME, or --model-card MODEL", "see `hf-fourier push --help`")
    _check(parcel)
    report = Report.load(parcel.report)
    if parcel.dry_run:
        _print_files(parcel, report)
        return
    found: dict[str, Any] = {}
    if parcel.repo is not None:
        with progress(f"pushing to {parcel.repo}"):
            pushed = report.push_to_hub(
                parcel.repo,
                as_space=parcel.space,
                include_inputs=parcel.include_inputs,
                private=not parcel.public,
                license=parcel.license,
            )
        found |= {**vars(pushed), "files": list(pushed.files)}
        if not parcel.as_json:
            seen = "only you and those you let in" if pushed.private else "everybody"
            inputs = "with" if parcel.include_inputs else "without"
            print_line(
                result_console(), f"{len(pushed.files)} files {inputs} inputs, for {seen}: {pushed.url}", style="bold"
            )
    if parcel.model_card is not None:
        with progress(f"proposing to {parcel.model_card}"):
            page = report.propose_model_card(
                parcel.model_card, dataset=parcel.dataset, dataset_id=parcel.dataset_id or "custom"
            )
        found["pull_request"] = page
        if not parcel.as_json:
            print_line(
                result_console(), f"pull request: {page}" if page else "the card says all of it already", style="bold"
            )
    if parcel.as_json:
        print_json(found)


def _check(parcel: PushRequest) -> None:
    """Names that cannot be, and options of what is not asked for, told before anything is read."""
    from hf_fourier.report.hub.repository import check_name

    for name in filter(None, (parcel.repo, parcel.model_card)):
        check_name(name)
    of_cards = {"--dataset": parcel.dataset, "--dataset-id": parcel.dataset_id}
    if parcel.model_card is None and (given := [option for option, value in of_cards.items() if value is not None]):
        raise InputError(f"{given[0]} without a model's card", "--model-card MODEL", f"add it, or leave {given[0]} out")
    of_repositories = {
        "--space": parcel.space,
        "--include-inputs": parcel.include_inputs,
        "--public": parcel.public,
        "--license": parcel.license,
    }
    if parcel.repo is None and (given := [option for option, value in of_repositories.items() if value]):
        raise InputError(f"{given[0]} without a repository", "USER/NAME", f"add it, or leave {given[0]} out")


def _print_files(parcel: PushRequest, report: Report) -> None:
    """What would be written, and how large it is; of a model's card, the section."""
    from hf_fourier.report.hub import cards, repository
    from hf_fourier.report.hub.card_data import facts

    told: dict[str, Any] = {"private": not parcel.public, "inputs": parcel.include_inputs}
    if parcel.repo is not None:
        with tempfile.TemporaryDirectory(prefix="hf-fourier-") as own:
            where = repository.write_files(
                report, Path(own) / "report", parcel.space, parcel.include_inputs, parcel.license
            )
            files = {f.relative_to(where).as_posix(): f.stat().st_size for f in where.rglob("*") if f.is_file()}
        told |= {"repository": parcel.repo, "files": dict(sorted(files.items()))}
    if parcel.model_card is not None:
        told |= {"model": parcel.model_card, "section": cards.section(facts(report), parcel.dataset)}
    if parcel.as_json:
        print_json(told)
        return
    if parcel.repo is not None:
        seen = "public" if parcel.public else "private"
        rows = [[name, f"{size / 1000:.1f} kB"] for name, size in told["files"].items()]
        result_console().print(table(f"Would be written to {parcel.repo} ({seen})", ["file", "size"], rows))
    if parcel.model_card is not None:
        print_line(result_console(), f"Would be proposed to {parcel.model_card}:\n\n{told['section']}")
