"""Preparing data: from one layout to another, pairing, splitting, caching. Nothing here is needed for training."""
