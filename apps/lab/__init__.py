"""`baremetal lab`: congestion experiments, from a TOML file to a table and a picture.

    commands     the arguments of each verb
    tables       what is printed
    pictures/    what is drawn
"""
