"""The unreliable transports: connections (UC), and datagrams to anybody (UD) (IBTA 9.8).

Nothing is acknowledged and nothing is sent again: a send completes when it has left, and a message that is not whole
is not received at all.
"""
