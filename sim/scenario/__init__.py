"""What a user may ask for: the scenario document, its checks and its files."""
