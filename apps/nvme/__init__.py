"""`baremetal nvme`: serve namespaces, and use those that others serve.

commands       the command line of the group, from these:
  target         serve
  finding        which subsystems a target has, and connecting to all of them
  listing        which namespaces there are
  identities     what controllers and namespaces say of themselves
  ctl            a target, looked at and changed while it serves
  moving         files into and out of a namespace
  nbd            a namespace as a disk for others
  reservations   who has registered with a namespace, and what is reserved
arguments      what several of them take
serving        the target process; announcing, what it says then; management, what it can be told
nbd_serving    the process that serves over NBD
sources, checking    what it is told to serve, and whether that can be
session        a connection from a command, without an event loop
files          what moves a file
tables         identities and lists, for people and as JSON
"""
