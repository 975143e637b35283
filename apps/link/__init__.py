"""`baremetal link`: an emulated link between real ends, as a process.

commands     the command line
arguments    rates, sides and the other things on it
running      runs a relay beside its control socket until it is told to end
ending       signals while it makes and removes what it needs
namespaces   the two network namespaces of `link tun`
report       what a run came to, for people and as JSON
looking      what other terminals see of a running link, and change
"""
