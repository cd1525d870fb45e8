"""The assignments: from one master each the student's edition, the solution, the rubric and Otter's autograder.

`master` reads a master, `editions` makes what is made from it, `otter` packs and runs the autograders in an
environment of their own. `python -m tools.assignments` does it all.
"""
