"""What runs an experiment: in virtual time here; in real time, between processes, whoever adds a runner.

    runner_for(experiment, is_real=False) -> Runner, which has every sender that the experiment names, or one clear line
    runner.run(experiment, progress) -> Record

A `Runner` is a name, the senders that it has, and a call. `RUNNERS` has them by name.
"""
