"""The network of an experiment on a timeline: links made of models of `transports.link`, and the ways over them."""
