"""`baremetal nvme`: serve namespaces, and use those that others serve.

commands       the command line of the group
serving        the target process
session        a connection from a command, without an event loop
files          files into and out of a namespace
reservations   who has registered with a namespace, and what is reserved
tables         identities and lists, for people and as JSON
"""
