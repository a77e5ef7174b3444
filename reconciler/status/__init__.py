"""What is said about an app."""
