"""NVMe over Fabrics between the guest's kernel and our processes, in both roles, over every transport.

    guest: nvme-cli, ext4, fio -- kernel host   <-- tap -->  baremetal nvme target      (`target`, `kernel`)
    guest: configfs -- nvmet                    <-- tap -->  baremetal nvme read, ...   (`nvmet`, `initiator`)

A case is a function of a `session.Stage` that returns a line of praise: `filesystem`, `fio`, `recovery`,
`command_line` with its table in `commands`, `initiator`, `ana` and `initiator_failover` with two paths, `reservations`
with three hosts. `session.play` records a case and has tshark judge every frame of it.
"""
