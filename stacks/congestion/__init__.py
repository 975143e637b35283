"""Congestion control, one package for every stack: controllers, the seam they sit behind, and the pacer.

    sender -> Controller.handle_sent / handle_ack / handle_loss / handle_notification
    Controller.rate_bps -> Pacer.next_send_ns -> the sender's next departure
    Controller.window_bytes -> how much the sender leaves unacknowledged

`Controller` says what an algorithm is told and what it answers; `controller_factory` finds one by name, and a factory
of your own goes wherever a name does. `Delivery` keeps a connection's totals and makes the samples, `RttEstimator` its
round-trip times, `RoundCounter` its rounds. Everything is sans-IO and computed in integers: the same input gives the
same rates on every machine and Python version.
"""

from stacks.congestion.bbr1 import Bbr1
from stacks.congestion.catalogue import CONTROLLERS, controller_factory
from stacks.congestion.controller import Ack, Controller, ControllerFactory, Flow, Loss
from stacks.congestion.cubic import Cubic
from stacks.congestion.dcqcn import ALPHA_ONE, Dcqcn, DcqcnParameters
from stacks.congestion.dcqcn_presets import PRESETS
from stacks.congestion.delivery import Delivery, SentPacket
from stacks.congestion.hystart import HyStart
from stacks.congestion.pacer import Pacer
from stacks.congestion.prr import Prr
from stacks.congestion.reno import Reno
from stacks.congestion.rounds import RoundCounter
from stacks.congestion.rtt import RttEstimator
from stacks.congestion.windowed import WindowedController

__all__ = [
    "ALPHA_ONE",
    "CONTROLLERS",
    "PRESETS",
    "Ack",
    "Bbr1",
    "Controller",
    "ControllerFactory",
    "Cubic",
    "Dcqcn",
    "DcqcnParameters",
    "Delivery",
    "Flow",
    "HyStart",
    "Loss",
    "Pacer",
    "Prr",
    "Reno",
    "RoundCounter",
    "RttEstimator",
    "SentPacket",
    "WindowedController",
    "controller_factory",
]
