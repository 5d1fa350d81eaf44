"""What turns the files of a package into a plain checkpoint or data folder; imported only when something is built.

Every builder takes `inputs`, which holds the path of each package file (by package name) and of each parent's folder
(by asset name), and the empty folder to fill.
"""
