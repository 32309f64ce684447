"""A trained generator as a service, and what keeps strangers and broken uploads out of it and of the studio."""
