"""`baremetal check`: whether captured RoCEv2 traffic keeps the rules."""
