"""Pictures of results, drawn with `apps.pictures`.

    lines      what a run's tables say over time, ready to be drawn
    run        a run: goodput, window, pacing rate, RTT, queue, fairness, states, distributions
    sweep      a sweep: heat maps, lines
    page       a report: one HTML file with everything in it
"""
