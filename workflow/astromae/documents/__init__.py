"""Documents of a run: the paper, the page of results, and the named values that both quote."""
