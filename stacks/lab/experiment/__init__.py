"""An experiment as values, and its TOML document.

    document -> read_experiment(text, name) -> Experiment, or ExperimentError with every mistake and its line
    document -> vary(...) -> one document for each point of a sweep

`values` says what there is, `reading` and `topology` which keys say it, `conflicts` what cannot go together; `units`
are rates, times, sizes and buffers as people write them. Nothing runs here, and no file is opened but by `loading`.
"""
