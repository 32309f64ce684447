"""How the built-in worlds are drawn: glasses and creatures by formula."""
