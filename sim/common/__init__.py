"""The ground that every other room stands on: errors, files, streams, times, texts."""
