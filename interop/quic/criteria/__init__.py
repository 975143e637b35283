"""What a case demands of what passed the link, besides the files.

Each criterion is given a `Trace`, raises DisagreementError with what is wrong, and returns what it saw in a few words.
"""
