"""Advice that no other call can follow: about the user's files and machine, and about others.

By reason; each is a regular expression of the whole advice.
"""

from __future__ import annotations

#: Damaged or unfit files, recordings and numbers, which have to be fixed where they come from.
_FILES = (
    r"(repair|fix) the (sound|recording|picture|video|volume|tensor|map)",
    r"record it again",
    r"repair or convert it",
    r"correct the file",
    r"save it again, or try again",
    r"correct its path",
)
#: What a newer version of the library wrote.
_NEWER = (r"install a newer hf_fourier",)
#: A full, broken or closed disk.
_DISK = (
    r"free some, or choose another folder, and run the same command again: it resumes after the finished part",
    r"correct that, and run the same command again",
    r"check its permissions and the disk",
)
#: The network, the Hub's own state, and what went wrong in another process.
_ELSEWHERE = (
    r"(try again|try again later|check the network and try again|fetch it again|report it)(; .*|\.\*)?",
    r"correct that error",
)
#: What somebody else pushed or wrote by hand: a report that is none, a model's card.
_OTHERS = (
    r"ask whoever pushed it",
    r"correct the model card (first|by hand)",
    r"add the results by hand",
)
#: Faults of the library's own.
#: Pixels that are compressed in a way that this package does not unpack.
_COMPRESSED = (r"decompress the series, as by gdcmconv --raw or dcmdjpeg", r"convert the series to NIfTI")
_BUGS = (r"report this as a bug",)

ABOUT_DATA = (*_FILES, *_NEWER, *_DISK, *_ELSEWHERE, *_OTHERS, *_COMPRESSED, *_BUGS)
#: Advice of a table of causes, each of which is followed by its name there.
BY_CAUSE = ("scoring/failures.py", "tests/scoring/test_failures.py")
#: Where all errors about damaged files are made; what they say to do is followed by `tests/runs/test_damage.py`.
DAMAGED = "results/integrity.py:damaged"
#: Followed by runs of several processes.
IN_PROCESSES = {
    "start them with torchrun, accelerate launch or `hf-fourier explain-dataset --processes` "
    "(see `hf-fourier docs runs`)": (
        "tests/runs/test_processes.py",
        "test_two_processes_write_the_bytes_of_one",
    )
}
