"""The physics: laws as pure functions of arrays, and the plant that steps them."""
