"""What all pictures and pages are made with; matplotlib comes with the extras `lab` and `plot`.

    canvas     figures and files: the only module that knows matplotlib
    colours    the same thing in the same colour everywhere
    points     as many points as a picture shows
    numbers    with their units as people read them
    html       one HTML file with everything in it
"""
