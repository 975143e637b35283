"""What is drawn of a trace, each as a figure with the same title and time axis.

    sequence        packet numbers and stream offsets, sent, acknowledged and lost
    congestion      window, flight, threshold, rates, and the controller's states
    rtt             round-trip times, and how long acknowledgements waited
    multiplexing    which stream's data went when
"""
