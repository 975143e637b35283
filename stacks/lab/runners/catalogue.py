"""The runners that there are, and the one that an experiment gets."""

from __future__ import annotations

from stacks.lab.experiment.values import Experiment, FlowConfig, TrafficConfig
from stacks.lab.runners.runner import Runner
from stacks.lab.runners.virtual import VirtualRunner
from stacks.lab.senders import SENDERS
from stacks.runtime.errors import LocalError
from stacks.runtime.toml_problems import Origin


def runner_for(experiment: Experiment, origin: Origin, *, is_real: bool = False) -> Runner:
    """What runs the experiment, in virtual or in real time; LocalError when something that it names is not there."""
    name = "real" if is_real else "virtual"
    runner = RUNNERS.get(name)
    if runner is None:
        raise LocalError("experiments run in virtual time only here: leave --real out")
    everyone: list[FlowConfig | TrafficConfig] = [*experiment.flows, *experiment.traffic]
    for each in everyone:
        word = each.sender.partition(":")[0]
        if word not in runner.senders:
            raise origin.error([((*each.place, "sender"), _refusal(each.name, each.sender, runner))])
    if problems := list(runner.check(experiment)):
        raise origin.error(problems)
    return runner


def _refusal(name: str, sender: str, runner: Runner) -> str:
    word = sender.partition(":")[0]
    other = next((each for each in RUNNERS.values() if word in each.senders), None)
    what = f"{name} has the sender {sender} ({SENDERS[word]})"
    if other is not None:
        is_real = other.name == "real"
        return f"{what}, which needs {'real' if is_real else 'virtual'} time: {_with(is_real)}"
    return f"{what}, which is not there yet; in {runner.name} time there is: {', '.join(runner.senders)}"


def _with(is_real: bool) -> str:
    return "`baremetal lab run --real`" if is_real else "leave --real out"


RUNNERS: dict[str, Runner] = {"virtual": VirtualRunner()}
