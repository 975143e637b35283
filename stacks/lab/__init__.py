"""The congestion laboratory: experiments with flows, links and queues, in virtual time."""
