"""What a run or any telemetry amounts to, as one page: read onto a grid, counted, thinned, written as HTML."""
