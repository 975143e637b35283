"""The network of an experiment on a timeline: links made of models of `transports.link`, and the ways over them."""

from stacks.lab.network.line import Line, Way
from stacks.lab.network.link import Link
from stacks.lab.network.queues import QUEUES, make_queue

__all__ = ["QUEUES", "Line", "Link", "Way", "make_queue"]
