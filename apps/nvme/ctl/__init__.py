"""`baremetal nvme ctl`: a target is looked at and changed while it serves, through its control socket.

commands     the group, and which target is meant
asking       the target that answers
arguments    what several verbs take
looking      list, reservations
namespaces, hosts, paths, stores    the verbs, by what they change
tables       what there is, for people

`apps.nvme.management` answers in the target's process, and is what checks; here is only what a person types and sees.
"""
