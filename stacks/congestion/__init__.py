"""Congestion control, one package for every stack: controllers, the seam they sit behind, and the pacer.

    sender -> Controller.handle_sent / handle_ack / handle_loss / handle_notification
    Controller.rate_bps -> Pacer.next_send_ns -> the sender's next departure
    Controller.window_bytes -> how much the sender leaves unacknowledged

`Controller` says what an algorithm is told and what it answers; `Dcqcn` is RoCE's, from CNPs; `controller_factory`
finds one by name, and a factory of your own goes wherever a name does. Everything is sans-IO and computed in integers:
the same input gives the same rates on every machine and Python version.

Left out so far: delivery-rate samples and the window-based algorithms (Reno, CUBIC, BBR, Prague), for which `Ack` and
`Loss` will grow fields. Sources: Zhu et al., "Congestion Control for Large-Scale RDMA Deployments", SIGCOMM 2015.
"""

from stacks.congestion.catalogue import CONTROLLERS, controller_factory
from stacks.congestion.controller import Ack, Controller, ControllerFactory, Flow, Loss
from stacks.congestion.dcqcn import ALPHA_ONE, Dcqcn, DcqcnParameters
from stacks.congestion.dcqcn_presets import PRESETS
from stacks.congestion.pacer import Pacer

__all__ = [
    "ALPHA_ONE",
    "CONTROLLERS",
    "PRESETS",
    "Ack",
    "Controller",
    "ControllerFactory",
    "Dcqcn",
    "DcqcnParameters",
    "Flow",
    "Loss",
    "Pacer",
    "controller_factory",
]
