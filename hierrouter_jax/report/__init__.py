"""Self-contained pages that show a run, several runs, a comparison or a sweep."""
