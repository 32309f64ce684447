"""Pictures of what runs make of the same inputs: a figure for a paper, a comparison of runs, a sweep of variants."""
