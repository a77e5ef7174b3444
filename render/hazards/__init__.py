"""What will hurt though the API server takes it: a file for each matter, a function for each rule."""
