"""What a target process does when `baremetal nvme ctl` asks it to, through its control socket.

manager      a request: its arguments, the verb that takes them, what is answered
verbs        the table: which verbs there are, and what each takes
namespaces, hosts, paths, stores    what they do, by what they do it to
picture      what there is, as JSON
"""
