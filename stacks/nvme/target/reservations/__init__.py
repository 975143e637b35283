"""Reservations: hosts that share a namespace agree who may write and read it, and the target sees to it.

    commands   Register, Acquire, Release, Report: what a command says
    rules      what it makes of a state, as pure functions           state   that state, a value
    line       one change at a time: decided, saved, in force        record  the state as bytes to save
    table      who may do what, as data                              access  the same as dicts on the data path
    aborting   what preempted hosts have under way                   notices log page 80h of a controller
    features   notification mask and persistence of a namespace      sharing what all this is to a subsystem's hosts

Nothing here is looked at by a read or write: a queue finds only those namespaces that its host may read, or write
(`access`). Follows NVM Express Base 2.0 8.19. Left out: dispersed namespaces.
"""
