"""Data sets from elsewhere: known ones, addresses, archives of strangers."""
