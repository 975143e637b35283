"""An experiment while it runs in virtual time: its flows, its cross traffic, the samples taken of both.

    World(experiment) -> run(progress) -> collect -> Record

`world` puts everything on one timeline, `flows` starts and stops flows, `traffic` is what no controller governs,
`samples` looks at flows and links at intervals, `collect` makes tables and metrics of what is left at the end.
"""
