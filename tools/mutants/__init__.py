"""Small faults put into the library, one at a time, and whether the tests of the same room see them.

    python -m tools.mutants [--seed 0] [--count 300] [--rooms methods domains ...] [--list] [--table]

A fault is one edit of one line: a comparison or an operator exchanged, a whole number larger by one, a truth value or
`and` and `or` exchanged, a sign or a `not` dropped, the branches of a conditional exchanged (`faults`). A seeded draw
takes faults from each room in proportion to those that it can have (`rooms`). One run of a room's tests records which
tests execute which lines (`recording`); each fault is tried on the tests that execute it, in a fork of a process that
has collected them, with the code of the faulty functions replaced. What is not seen so, or runs at import, is tried in
a process that imports the library with the fault (`trying`). Faults that no test sees are printed with their line: each
is answered by a test, or is named equivalent in `equivalent`.
"""
