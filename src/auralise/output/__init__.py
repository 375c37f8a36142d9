"""For people: figures, reports, bundles on disk. Nothing here computes what it shows.

`figures` says what is to be seen; `interactive` (plotly) and `png` (matplotlib) draw it.
"""
