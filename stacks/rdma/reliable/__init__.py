"""The reliable services, RC and XRC: every packet is acknowledged, and repeated until it is (IBTA 9.7).

    post -> requester -> packets ... the peer's responder -> responses -> completer -> completions

`shortcuts` stands in front of the receiving side and takes whole bursts; `onlies` does the same when sending.
"""
