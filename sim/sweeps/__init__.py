"""Many runs: what a sweep is made of, where its runs are computed, and what becomes of them."""
