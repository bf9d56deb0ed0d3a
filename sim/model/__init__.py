"""What a hall is: facility, channels, profiles, episodes."""
