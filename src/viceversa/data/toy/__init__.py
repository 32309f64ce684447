"""How the built-in data set, water into wine, is drawn: glasses by formula."""
