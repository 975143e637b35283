"""Pictures of results, drawn by matplotlib, which the extra `lab` installs.

    lines      what a run's tables say over time, ready to be drawn
    canvas     figures, colours and files: the only module that knows matplotlib
    run        a run: goodput, window, pacing rate, RTT, queue, fairness, states, distributions
    sweep      a sweep: heat maps, lines
    page       a report: one HTML file with everything in it
"""
