"""`hf-fourier push`: from a report's folder to the Hub."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hf_fourier.cli.console import print_json, print_line, progress, result_console, table
from hf_fourier.cli.share_options import PushRequest
from hf_fourier.errors import InputError

if TYPE_CHECKING:
    from hf_fourier.report.report import Report


def send(request: PushRequest) -> None:
    """Push, propose, or print what would be pushed.

    Raises:
        FourierError: If something that was typed cannot be done, or the Hub does not take it.
    """
    from hf_fourier.report.report import Report

    if request.repo is None and request.model_card is None:
        raise InputError("no repository", "USER/NAME, or --model-card MODEL", "see `hf-fourier push --help`")
    _check(request)
    report = Report.load(request.report)
    if request.dry_run:
        _print_files(request, report)
        return
    found: dict[str, Any] = {}
    if request.repo is not None:
        with progress(f"pushing to {request.repo}"):
            pushed = report.push_to_hub(
                request.repo,
                as_space=request.space,
                include_inputs=request.include_inputs,
                private=not request.public,
                license=request.license,
            )
        found |= {**vars(pushed), "files": list(pushed.files)}
        if not request.as_json:
            readers = "only you and those with access" if pushed.private else "everybody"
            inputs = "with" if request.include_inputs else "without"
            print_line(
                result_console(),
                f"{len(pushed.files)} files {inputs} inputs, for {readers}: {pushed.url}",
                style="bold",
            )
    if request.model_card is not None:
        with progress(f"proposing to {request.model_card}"):
            page = report.propose_model_card(
                request.model_card, dataset=request.dataset, dataset_id=request.dataset_id or "custom"
            )
        found["pull_request"] = page
        if not request.as_json:
            print_line(
                result_console(),
                f"pull request: {page}" if page else "the card already has this section and these results",
                style="bold",
            )
    if request.as_json:
        print_json(found)


def _check(request: PushRequest) -> None:
    """Refuse impossible names and options without effect before anything is read."""
    from hf_fourier.report.hub.repository import check_name

    for name in filter(None, (request.repo, request.model_card)):
        check_name(name)
    of_cards = {"--dataset": request.dataset, "--dataset-id": request.dataset_id}
    if request.model_card is None and (given := [option for option, value in of_cards.items() if value is not None]):
        raise InputError(f"{given[0]} without a model's card", "--model-card MODEL", f"add it, or leave {given[0]} out")
    of_repositories = {
        "--space": request.space,
        "--include-inputs": request.include_inputs,
        "--public": request.public,
        "--license": request.license,
    }
    if request.repo is None and (given := [option for option, value in of_repositories.items() if value]):
        raise InputError(f"{given[0]} without a repository", "USER/NAME", f"add it, or leave {given[0]} out")


def _print_files(request: PushRequest, report: Report) -> None:
    """Print what would be written with its size; of a model's card, the section."""
    from hf_fourier.report.hub import cards, repository
    from hf_fourier.report.hub.card_data import facts

    summary: dict[str, Any] = {"private": not request.public, "inputs": request.include_inputs}
    if request.repo is not None:
        with tempfile.TemporaryDirectory(prefix="hf-fourier-") as folder:
            where = repository.write_files(
                report, Path(folder) / "report", request.space, request.include_inputs, request.license
            )
            files = {f.relative_to(where).as_posix(): f.stat().st_size for f in where.rglob("*") if f.is_file()}
        summary |= {"repository": request.repo, "files": dict(sorted(files.items()))}
    if request.model_card is not None:
        summary |= {"model": request.model_card, "section": cards.section(facts(report), request.dataset)}
    if request.as_json:
        print_json(summary)
        return
    if request.repo is not None:
        visibility = "public" if request.public else "private"
        rows = [[name, f"{size / 1000:.1f} kB"] for name, size in summary["files"].items()]
        result_console().print(table(f"Would be written to {request.repo} ({visibility})", ["file", "size"], rows))
    if request.model_card is not None:
        print_line(result_console(), f"Would be proposed to {request.model_card}:\n\n{summary['section']}")
