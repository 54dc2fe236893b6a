"""Foreign bytes are read in processes that may die: what a run wrote can hurt only its reader.

`worker` runs in such a process and compares one pair of files at a time; `process` starts it, asks
it, limits it, and says how it died; `pool` keeps as many of them as there are cores; `asking` hands
it a comparison's pairs and gives back what it found, in their order. `messages` is what both say,
`coding` how it travels.
"""
