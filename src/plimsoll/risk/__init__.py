"""The risk side of the package: price files, the paths that a replay walks, the replay and its report."""
