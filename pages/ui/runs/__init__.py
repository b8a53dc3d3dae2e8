"""The Runs page's parts: the list, one run, and several beside each other."""
